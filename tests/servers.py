"""Servers on loopback: one that serves files with ranges, and goes wrong on request; a proxy that cuts connections."""

import contextlib
import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files` (path -> bytes). `faults` says what goes wrong with the next requests, one each.

    A number answers with that status; "cut" breaks off at 60 %; "wrong" sends other bytes of the same length;
    ("to", url) redirects; None is no fault. `requests` keeps path, Range and Authorization of each request. It
    names each state of a file by an ETag and minds If-Range, unless `with_tags`, `minds_if_range` are False. `extra`
    are headers; `endless` sends without a length and without an end; `pause` waits before each body.
    """

    daemon_threads = True

    def __init__(self, files=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults, self.requests, self.with_ranges = dict(files or {}), [], [], True
        self.with_tags, self.minds_if_range = True, True
        self.extra, self.endless, self.pause = {}, False, 0
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
        headers = {"ETag": f'"{hashlib.md5(body).hexdigest()}"'} if server.with_tags else {}
        changed = server.minds_if_range and self.headers.get("If-Range") not in (None, headers.get("ETag"))
        if server.endless:
            return self.flood()
        headers |= server.extra
        time.sleep(server.pause)
        start = int(asked[6:-1]) if asked and server.with_ranges and not changed else 0
        if start >= len(body):
            return self.answer(416, headers | {"Content-Range": f"bytes */{len(body)}"})
        rest = body[start:]
        sent = {"cut": rest[: len(rest) * 6 // 10], "wrong": bytes(len(rest))}.get(fault, rest)
        headers["Content-Length"] = str(len(rest))
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self.answer(206 if start else 200, headers, sent)

    def flood(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(1 << 20))

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Cutter:
    """A TCP proxy before a server on loopback: it breaks off the next `cuts` answers, and each `every`-th one, halfway.

    `broken` counts them; None for `every` is no one.
    """

    def __init__(self, port):
        self.target, self.cuts, self.every, self.answers, self.broken = port, 0, None, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._carry, args=self.listener.accept()[:1], daemon=True).start()

    def _carry(self, client):
        server = socket.create_connection(("127.0.0.1", self.target))
        threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
        self._pump(server, client, is_answer=True)

    def _pump(self, source, sink, is_answer=False):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.answers += is_answer
                if is_answer and (self.cuts > 0 or (self.every and self.answers % self.every == 0)):
                    self.cuts, self.broken = self.cuts - 1, self.broken + 1
                    sink.sendall(data[: len(data) // 2])
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
