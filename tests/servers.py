"""A server on loopback that serves files with ranges, and goes wrong on request."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files` (path -> bytes). `faults` says what goes wrong with the next requests, one each.

    A number answers with that status; "cut" breaks off at 60 %; "wrong" sends other bytes of the same length;
    ("to", url) redirects; None is no fault. `requests` keeps path, Range and Authorization of each request.
    """

    daemon_threads = True

    def __init__(self, files=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults, self.requests, self.with_ranges = dict(files or {}), [], [], True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def close(self):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked, self.headers.get("Authorization")))
        fault = server.faults.pop(0) if server.faults else None
        body = server.files.get(self.path)
        if isinstance(fault, tuple):
            return self.answer(302, {"Location": fault[1]})
        if isinstance(fault, int) or body is None:
            return self.answer(fault if isinstance(fault, int) else 404)
        start = int(asked[6:-1]) if asked and server.with_ranges else 0
        if start >= len(body):
            return self.answer(416, {"Content-Range": f"bytes */{len(body)}"})
        rest = body[start:]
        sent = {"cut": rest[: len(rest) * 6 // 10], "wrong": bytes(len(rest))}.get(fault, rest)
        headers = {"Content-Length": str(len(rest))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self.answer(206 if start else 200, headers, sent)

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass
