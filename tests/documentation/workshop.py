"""A process that has everything imported, and runs each command in a fork of it.

So a command of the documentation costs no start of an interpreter, is a process of its own all the same, and leaves
nothing behind in the one that asked. This file is also the program that asks: bash finds it in PATH under the names
``lrformer`` and ``python`` (:func:`install`), and it hands words, folder, environment, stdin, stdout and stderr over.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress

ADDRESS = 'LRFORMER_WORKSHOP'


def ask(words: list[str], folder: str, environment: dict[str, str], streams: list[int], seconds: float | None) -> int:
    """Let the workshop run a command; its exit code. Where this process ends, so does the command."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(environment[ADDRESS])
        message = json.dumps([words, folder, environment]).encode()
        socket.send_fds(connection, [message], streams)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(seconds)
        return int(connection.recv(16) or 70)


def install(folder: str) -> None:
    """Put the programs into a folder."""
    os.makedirs(folder)
    for name in ('lrformer', 'python'):
        path = os.path.join(folder, name)
        with open(path, 'w') as file:
            file.write(f'#!/bin/sh\nexec {sys.executable} -IS {os.path.abspath(__file__)} {name} "$@"\n')
        os.chmod(path, 0o755)


def serve(address: str) -> None:
    """Be the workshop, until stdin ends."""
    import matplotlib.figure  # noqa: F401 (what commands import when they run)
    import torch

    import mmseg.report  # noqa: F401
    from mmseg.utils import register_all_modules

    from . import page, small

    register_all_modules(init_default_scope=False)
    torch.set_num_threads(1)
    small.use()
    gc.collect()
    gc.freeze()  # each dataset collects garbage, which would look through all that is imported
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        print('open', flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            while _finished():
                pass
            if os.fork() == 0:
                listener.close()
                _look_after(connection, page)
            connection.close()


def _finished() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _look_after(connection: socket.socket, page) -> None:
    """Run one command, and end it and what it has started where nobody waits for it any longer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends when the other side does, and takes the command along
    message = b''
    streams: list[int] = []
    while part := socket.recv_fds(connection, 1 << 20, 3):
        if not part[0]:
            break
        message, streams = message + part[0], streams + part[1]
    words, folder, environment = json.loads(message)
    worker = os.fork()
    if worker == 0:
        connection.close()
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        _leave(page.run, words)
    for stream in streams:
        os.close(stream)
    poller = select.poll()
    poller.register(connection, 0)  # POLLHUP alone: the other side is gone
    status = None
    while status is None:
        done, state = os.waitpid(worker, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(state)
        elif poller.poll(20):
            break
    _kill_group(worker, signal.SIGKILL)
    if status is None:
        os.waitpid(worker, 0)
    else:
        connection.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def _kill_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def _leave(run, words: list[str]) -> None:
    import traceback

    code = 1
    try:
        code = run(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code or 0)


if __name__ == '__main__':
    if __package__:
        serve(sys.argv[1])
    else:
        sys.exit(ask(sys.argv[1:], os.getcwd(), dict(os.environ), [0, 1, 2], None))
