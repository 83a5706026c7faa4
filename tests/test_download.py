"""A file is fetched whole or not at all, whatever the server does."""

import collections
import gzip
import hashlib
import threading

import pytest
from servers import FileServer

from zsc import files as download
from zsc.files import DownloadError, fetch

BODY = bytes(range(256)) * 8000  # 2 MB
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
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


class TestWhoseBeginning:
    """A part is gone on from only where something can tell that it is the same file's beginning."""

    def test_old_bytes_without_a_note_or_checksum_are_not_used(self, server, tmp_path):
        (tmp_path / "w.bin.part").write_bytes(b"x" * 3000)
        path = fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False)
        assert path.read_bytes() == BODY and server.requests[0][1] is None

    def test_old_bytes_of_another_file_and_a_checksum(self, server, tmp_path):
        (tmp_path / "w.bin.part").write_bytes(b"x" * 3000)
        assert get(server, tmp_path / "w.bin").read_bytes() == BODY  # tried, found wrong, fetched from the start

    @pytest.mark.parametrize("minds_if_range", [True, False])
    @pytest.mark.parametrize("longer", [0, 1000])
    def test_a_file_that_changed_on_the_server(self, server, tmp_path, minds_if_range, longer):
        server.minds_if_range = minds_if_range
        begin(server, tmp_path / "w.bin")
        server.files["/weights.bin"] = changed = BODY[::-1] + b"x" * longer
        path = fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False, attempts=1)
        assert path.read_bytes() == changed and server.requests[1][1] is not None

    def test_a_server_that_names_no_states(self, server, tmp_path):
        server.with_tags = False
        begin(server, tmp_path / "w.bin")
        assert fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False).read_bytes() == BODY
        assert server.requests[-1][1] is None  # nothing could have told a changed file

    def test_another_address(self, server, tmp_path):
        begin(server, tmp_path / "w.bin")
        server.files["/other.bin"] = other = BODY[::-1]
        assert fetch(f"{server.url}/other.bin", tmp_path / "w.bin", progress=False).read_bytes() == other

    def test_a_damaged_note_is_no_note(self, server, tmp_path):
        begin(server, tmp_path / "w.bin")
        (tmp_path / "w.bin.part.json").write_text("[")
        assert fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False).read_bytes() == BODY
        assert server.requests[-1][1] is None

    def test_the_same_file_is_gone_on_from(self, server, tmp_path):
        begin(server, tmp_path / "w.bin")
        assert fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False).read_bytes() == BODY
        assert resumed_past_half(server.requests[-1][1])

    def test_a_kept_note_asks_instead_of_fetching_again(self, server, tmp_path):
        for _ in range(2):
            fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False, keep_note=True)
        assert [asked for _, asked, _ in server.requests] == [None, f"bytes={len(BODY)}-"]

    def test_a_kept_note_and_a_server_that_names_another_state_of_the_same_length(self, server, tmp_path):
        """It says that nothing is missing behind the bytes that are here; they are another file's."""
        server.minds_if_range = False
        for body in (BODY, BODY[::-1]):
            server.files["/weights.bin"] = body
            path = fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False, keep_note=True)
            assert path.read_bytes() == body
        server.files["/weights.bin"] = other = BODY[::-1]
        assert fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False).read_bytes() == other
        assert [p.name for p in tmp_path.iterdir()] == ["w.bin"]

    def test_the_note_holds_no_login(self, server, tmp_path):
        address = server.url.replace("//", "//bob:s3cr3t@")
        server.faults = ["cut"]
        with pytest.raises(DownloadError):
            fetch(f"{address}/weights.bin?sig=s3cr3t", tmp_path / "w.bin", progress=False, attempts=1)
        assert "s3cr3t" not in "".join(p.read_text("latin-1") for p in tmp_path.glob("*.json"))

    def test_what_was_there_stays_until_its_successor_is_whole(self, server, tmp_path):
        (tmp_path / "w.bin").write_bytes(b"mine")
        server.faults = [404]
        with pytest.raises(DownloadError):
            get(server, tmp_path / "w.bin")
        assert (tmp_path / "w.bin").read_bytes() == b"mine"
        assert get(server, tmp_path / "w.bin").read_bytes() == BODY


def begin(server, path):
    server.faults = ["cut"]
    with pytest.raises(DownloadError, match="broke off"):
        fetch(f"{server.url}/weights.bin", path, progress=False, attempts=1)
    assert path.with_name("w.bin.part").stat().st_size > len(BODY) // 2


class TestUnaskedCompression:
    def serve(self, server, body, encoding, checksum=None, name="w.bin", tmp_path=None, **options):
        server.files["/weights.bin"] = body
        server.extra = {"Content-Encoding": encoding}
        return fetch(f"{server.url}/weights.bin", tmp_path / name, checksum=checksum, progress=False, **options)

    @pytest.mark.parametrize("checksum", [None, f"sha256:{SHA256}"])
    def test_it_is_undone(self, server, tmp_path, checksum):
        path = self.serve(server, gzip.compress(BODY), "gzip", checksum, tmp_path=tmp_path)
        assert path.read_bytes() == BODY

    def test_an_archive_that_is_compressed_itself_stays_as_published(self, server, tmp_path):
        body = gzip.compress(BODY)  # a server that takes the archive's own compression for the transfer's
        assert self.serve(server, body, "x-gzip", name="w.tgz", tmp_path=tmp_path).read_bytes() == body

    def test_damaged(self, server, tmp_path):
        with pytest.raises(DownloadError, match="could not be fetched"):
            self.serve(server, b"no gzip" * 99, "gzip", tmp_path=tmp_path)

    def test_it_is_not_gone_on_from(self, server, tmp_path):
        server.faults = ["cut"]
        with pytest.raises(DownloadError, match="could not be fetched"):
            self.serve(server, gzip.compress(BODY), "gzip", tmp_path=tmp_path, attempts=1)
        assert self.serve(server, gzip.compress(BODY), "gzip", tmp_path=tmp_path).read_bytes() == BODY
        assert server.requests[-1][1] is None

    def test_of_a_kind_that_cannot_be_undone(self, server, tmp_path):
        with pytest.raises(DownloadError, match="sent w.bin packed as br, which was not asked for"):
            self.serve(server, BODY, "br", tmp_path=tmp_path)


class TestWithoutEnd:
    Usage = collections.namedtuple("Usage", "total used free")

    def test_a_body_beyond_the_limit_is_not_kept(self, server, tmp_path):
        server.endless = True
        with pytest.raises(DownloadError, match=r"has more than 10,000,000 bytes, .*w\.bin\.part, was removed"):
            fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False, limit=10_000_000)
        assert not list(tmp_path.iterdir())

    def test_a_length_beyond_the_limit_is_refused(self, server, tmp_path):
        with pytest.raises(DownloadError, match="has more than 1,000 bytes, the most that it can have"):
            fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False, limit=1000)

    def test_the_disk_is_looked_at_while_it_fills(self, server, tmp_path, monkeypatch):
        server.endless, free = True, iter([10**9, 10**9, 10**6])
        monkeypatch.setattr(download.shutil, "disk_usage", lambda path: self.Usage(0, 0, next(free)))
        with pytest.raises(DownloadError, match=r"the disk of .* is full; make room .* w\.bin\.part there was removed"):
            fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", progress=False)
        assert not list(tmp_path.iterdir())

    def test_a_disk_that_another_program_fills_keeps_the_part(self, server, tmp_path, monkeypatch):
        monkeypatch.setattr(download, "LOOK", 100_000)
        free = iter([10**9, 10**9, 10**6])
        with monkeypatch.context() as patch:
            patch.setattr(download.shutil, "disk_usage", lambda path: self.Usage(0, 0, next(free)))
            with pytest.raises(DownloadError, match=r"it goes on from w\.bin\.part there"):
                get(server, tmp_path / "w.bin")
        assert get(server, tmp_path / "w.bin").read_bytes() == BODY and server.requests[-1][1]


class TestTwoAtOnce:
    @pytest.mark.parametrize("checksum", [None, f"sha256:{SHA256}"])
    def test_one_fetches_and_the_others_find_it(self, server, tmp_path, checksum):
        server.pause, results = 0.2, []

        def one():
            try:
                results.append(
                    fetch(f"{server.url}/weights.bin", tmp_path / "w.bin", checksum=checksum, progress=False)
                )
            except BaseException as error:
                results.append(error)

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [tmp_path / "w.bin"] * 4 and (tmp_path / "w.bin").read_bytes() == BODY
        assert sum(asked is None for _, asked, _ in server.requests) == 1
        assert {p.name for p in tmp_path.iterdir()} == {"w.bin"}


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "host/w.bin",
        "ftp://host/w.bin",
        "file:///w.bin",
        "http://",
        "http:///w.bin",
        "http://h:99999/w",
        "",
    ],
)
def test_what_is_no_address(url, tmp_path):
    with pytest.raises(DownloadError, match=r"no address to fetch from; give one such as https://host/w\.bin"):
        fetch(url, tmp_path / "w.bin", progress=False)
    assert not list(tmp_path.iterdir())


def test_addresses_are_shown_as_they_are_read():
    assert download.shown("https://bob:word@host.example/a/b?sig=1#x") == "https://host.example/a/b"
    assert download.shown("https://evil.example\\@www.kaggle.com/api").startswith("https://evil.example/")
    assert "word" not in download.shown("http://bob:word@[::1/x?word")
    assert "\x1b" not in download.shown("http://host/\x1b[31m")


def test_a_place_that_cannot_be_written_to(server, tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(DownloadError, match=r"w\.bin\.part could not be written \(Not a directory|File exists"):
        get(server, tmp_path / "file/w.bin")
    (tmp_path / "w.bin").mkdir()
    with pytest.raises(DownloadError, match="there is a folder of that name"):
        get(server, tmp_path / "w.bin")
    assert (tmp_path / "w.bin").is_dir()
