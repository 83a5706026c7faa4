"""A file is fetched whole or not at all, whatever the server does."""

import hashlib

import pytest
from servers import FileServer

from zsc import files as download
from zsc.files import DownloadError, fetch

BODY = bytes(range(256)) * 8000  # 2 MB
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download._RETRY, "backoff_factor", 0)
    server = FileServer({"/weights.bin": BODY})
    yield server
    server.close()


def get(server, path, **options):
    return fetch(
        f"{server.url}/weights.bin", path, checksum=f"sha256:{SHA256}", progress=False, timeout=(5, 5), **options
    )


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
    assert server.requests[0][1] is None and resumed_past_half(server.requests[1][1])


def test_a_later_call_goes_on_from_the_part(server, tmp_path):
    server.faults = ["cut"]
    with pytest.raises(DownloadError, match=r"weights\.bin \(for w\.bin in .*broke off"):
        get(server, tmp_path / "w.bin", attempts=1)
    assert not (tmp_path / "w.bin").exists() and (tmp_path / "w.bin.part").exists()
    assert get(server, tmp_path / "w.bin").read_bytes() == BODY
    assert resumed_past_half(server.requests[-1][1])


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
    assert len(server.requests) == 1


def test_a_wrong_checksum_is_thrown_away(server, tmp_path):
    with pytest.raises(DownloadError, match=f"arrived with sha256 {SHA256}, expected 00; it was thrown away"):
        fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", checksum="sha256:00", progress=False)
    assert not list(tmp_path.iterdir())


def test_no_network(tmp_path):
    with pytest.raises(DownloadError, match="no network, or the host cannot be reached"):
        fetch("http://127.0.0.1:9/w.bin", tmp_path / "w.bin", progress=False)


def test_sha256_is_hashlibs(tmp_path):
    (tmp_path / "a").write_bytes(BODY)
    assert download.digest_of(tmp_path / "a") == SHA256
    assert download.digest_of(tmp_path / "a", "md5") == hashlib.md5(BODY).hexdigest()
