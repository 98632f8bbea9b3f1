"""A small model behind HTTP, for tests."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from mmseg.inference import Segmentor

uvicorn = pytest.importorskip('uvicorn', reason="needs the extra 'web'")
pytest.importorskip('fastapi', reason="needs the extra 'web'")

from mmseg.serve import Limits, Service, make_app  # noqa: E402


@contextmanager
def served(model, limits=None, batch_size=4, **options):
    """The address of a service that lives as long as this lasts."""
    service = Service({'n': Segmentor(model)}, limits or Limits(), batch_size)
    with socket.create_server(('127.0.0.1', 0)) as listener:
        config = uvicorn.Config(make_app(service, **options), log_level='critical', timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), 'the service did not start'
            time.sleep(0.01)
        try:
            yield 'http://{}:{}'.format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()
