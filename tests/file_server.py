"""A web server on this machine for tests: files by path, ranges, broken connections, and a record of requests."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """What is served, and how.

    Attributes:
        files: content by path.
        break_after: bytes of the next bodies before the connection breaks, one entry a request.
        headers: a function that adds headers to the answer for a path.
        requests: (method, path, range or None) of each request so far.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.break_after: list[int] = []
        self.requests: list[tuple[str, str, str | None]] = []
        self.url = ''

    def headers(self, path: str) -> dict[str, str]:
        return {}

    def breaks(self, path: str) -> bool:
        """Whether ``break_after`` is for this path."""
        return True

    def bodies(self, path: str) -> list[str | None]:
        """The ranges in which a file was asked for."""
        return [asked for method, at, asked in self.requests if method == 'GET' and at == path]


@contextmanager
def serve(files: FileServer):
    """Serve on a free port of 127.0.0.1 while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def answer(self, with_body: bool) -> None:
            path, asked = self.path.split('?')[0], self.headers.get('Range')
            files.requests.append((self.command, path, asked))
            content = files.files.get(path)
            if content is None:
                self.send_response(404)
                for key, value in files.headers(path).items():
                    self.send_header(key, value)
                self.send_header('Content-Length', '0')
                self.end_headers()
                return
            start, last = 0, len(content) - 1
            if asked:
                first, end = re.fullmatch(r'bytes=(\d+)-(\d*)', asked).groups()
                start, last = int(first), int(end) if end else last
            body = content[start : last + 1]
            self.send_response(206 if asked else 200)
            self.send_header('Content-Length', str(len(body)))
            if asked:
                self.send_header('Content-Range', f'bytes {start}-{last}/{len(content)}')
            for key, value in files.headers(path).items():
                self.send_header(key, value)
            self.end_headers()
            if not with_body:
                return
            if files.break_after and files.breaks(path):
                self.wfile.write(body[: files.break_after.pop(0)])
                self.close_connection = True
                self.connection.close()
            else:
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def log_message(self, *arguments) -> None:
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.handle_error = lambda *arguments: None  # broken connections are meant
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    files.url = f'http://127.0.0.1:{server.server_port}'
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
