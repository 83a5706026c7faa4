"""A file is fetched whole or not at all, whatever the server does."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zsc.datasets import download
from zsc.datasets.download import DownloadError, fetch

BODY = bytes(range(256)) * 8000  # 2 MB
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY; `faults` is a list of what goes wrong with the next requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults, self.ranges, self.with_ranges = [], [], True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked[6:-1]) if asked and server.with_ranges else 0
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.end_headers()
            return
        body = BODY[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) * 6 // 10] if fault == "cut" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download._RETRY, "backoff_factor", 0)
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


def get(server, path, **options):
    return fetch(server.url, path, sha256=SHA256, progress=False, timeout=5, **options)


def resumed_past_half(asked):
    """Tell whether a Range header asks for what lies behind the cut, give or take one block."""
    return len(BODY) // 2 < int(asked[6:-1]) <= len(BODY) * 6 // 10


def test_whole(server, tmp_path):
    path = get(server, tmp_path / "new/folder/w.bin")
    assert path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == ["w.bin"]


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.faults = ["cut"]
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY
    assert server.ranges[0] is None and resumed_past_half(server.ranges[1])


def test_a_later_call_goes_on_from_the_part(server, tmp_path):
    server.faults = ["cut"]
    with pytest.raises(DownloadError, match=r"weights\.bin \(for w\.bin in .*broke off|IncompleteRead"):
        get(server, tmp_path / "w.bin", attempts=1)
    assert not (tmp_path / "w.bin").exists() and (tmp_path / "w.bin.part").exists()
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY
    assert resumed_past_half(server.ranges[-1])


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    server.with_ranges = False
    (tmp_path / "w.bin.part").write_bytes(b"something else")
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY


def test_a_complete_part_is_not_fetched_again(server, tmp_path):
    (tmp_path / "w.bin.part").write_bytes(BODY)
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY


def test_a_part_that_is_too_long_is_started_again(server, tmp_path):
    (tmp_path / "w.bin.part").write_bytes(BODY + b"more")
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY


def test_503_twice(server, tmp_path):
    server.faults = [503, 503]
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_final(server, tmp_path, status):
    server.faults = [status] * 9
    with pytest.raises(DownloadError, match=f"HTTP {status}"):
        get(server, tmp_path / "w.bin")
    assert len(server.ranges) == 1


def test_a_wrong_checksum_is_thrown_away(server, tmp_path):
    with pytest.raises(DownloadError, match=f"arrived with sha256 {SHA256}, expected 00; it was thrown away"):
        fetch(server.url, tmp_path / "w.bin", sha256="00", progress=False)
    assert not list(tmp_path.iterdir())


def test_no_network(tmp_path):
    with pytest.raises(DownloadError, match="no network, or the host cannot be reached"):
        fetch("http://127.0.0.1:9/w.bin", tmp_path / "w.bin", progress=False)


def test_sha256_is_hashlibs(tmp_path):
    (tmp_path / "a").write_bytes(BODY)
    assert download.sha256_of(tmp_path / "a") == SHA256
    with (tmp_path / "a").open("rb") as file:
        assert download._digest(file) == SHA256  # what Python 3.10 runs
