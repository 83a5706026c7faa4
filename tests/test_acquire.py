"""Each data set is downloaded, unpacked, loaded and evaluated; and whatever goes wrong, no half data set is left."""

import collections
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from conftest import ColourEncoder
from layouts import FORMS, make, make_classes, pack, picture
from servers import FileServer

import zsc
from zsc import cli, files
from zsc.datasets import PUBLISHED, check_dataset, download_dataset
from zsc.datasets import download as downloading
from zsc.datasets.download import ArchiveError, kaggle_login, may_log_in
from zsc.files import DownloadError

every_form = pytest.mark.parametrize("form", FORMS)
SECRET = "s3cr3t-t0k3n"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_V1_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(files, "PAUSE", 0)


@pytest.fixture
def server(monkeypatch):
    server = FileServer()
    for variable in ("ZSC_KAGGLE_URL", "ZSC_AFHQ_URL", "ZSC_IMAGENETTE_URL"):
        monkeypatch.setenv(variable, f"{server.url}/{variable}")
    monkeypatch.setattr(downloading, "TRUSTED", (downloading.TRUSTED, f"{server.url}/"))
    yield server
    server.close()


@pytest.fixture
def serve(server, tmp_path, monkeypatch):
    """Put the archive of a form on the server, at every source's address; give its bytes."""

    def put(form, change=None):
        published = PUBLISHED[form]
        suffix = ".tgz" if form.startswith("imagenette") else ".zip"
        archive = pack(form, make(form, tmp_path / "origin"), tmp_path / f"packed/{form}{suffix}")
        body = (change or (lambda b: b))(archive.read_bytes())
        for source in published.sources:
            server.files[source.url.removeprefix(server.url)] = body
        if published.checksum:
            digest = files.digest_of(archive, "md5")
            monkeypatch.setitem(PUBLISHED, form, _with(published, checksum=f"md5:{digest}"))
        return body

    return put


def _with(published, **changes):
    return published.__class__(**{**published.__dict__, **changes})


def get(form, root, **options):
    lines = []
    folder = download_dataset(root=root, report=lines.append, progress=False, **FORMS[form], **options)
    return folder, lines


def load(form, root):
    return zsc.load_dataset(root=root, **FORMS[form])


def assert_nothing_half(root, form):
    """No folder of the data set, and no trace of unpacking; what has come of the archive may stay."""
    names = {p.name for p in root.iterdir()} if root.exists() else set()
    assert names <= {".download"}, names


@every_form
def test_downloaded_loaded_and_evaluated(form, serve, server, tmp_path):
    serve(form)
    folder, lines = get(form, tmp_path / "data")
    assert folder == tmp_path / "data" / PUBLISHED[form].folder
    dataset = load(form, tmp_path / "data")
    assert len(dataset) == {"glasses": 27, "afhq": 9, "afhq_v2": 9}.get(form, 30)
    texts = {name: "a red thing" if i else "a blue thing" for i, name in enumerate(dataset.class_names)}
    clf = zsc.ZeroShotClassifier(zsc.ClassPrompts.from_texts(texts), ColourEncoder())
    evaluation = clf.evaluate(dataset)
    assert evaluation.n == len(dataset) and 0 <= evaluation.accuracy <= 1
    assert {p.name for p in (tmp_path / "data").iterdir()} == {folder.name}  # no archive, no staging folder
    before = len(server.requests)
    again, lines = get(form, tmp_path / "data")
    assert again == folder and len(server.requests) == before and "already there" in lines[0]


@every_form
def test_cut_at_60_percent_goes_on_from_there(form, serve, server, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 512)
    body = serve(form)
    server.faults = ["cut"]
    get(form, tmp_path / "data")
    assert len(load(form, tmp_path / "data")) > 0
    starts = [int(asked[6:-1]) for _, asked, _ in server.requests if asked]
    assert len(starts) == 1 and len(body) // 2 < starts[0] <= len(body) * 6 // 10


def test_cut_again_and_again_then_a_second_run(serve, server, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 512)
    serve("imagenette-320px")
    server.faults = ["cut"] * 4
    with pytest.raises(DownloadError, match="imagenette could not be downloaded; tried: fast.ai: .*Three ways on"):
        get("imagenette-320px", tmp_path / "data")
    assert_nothing_half(tmp_path / "data", "imagenette-320px")
    assert list((tmp_path / "data/.download").glob("*.part"))
    get("imagenette-320px", tmp_path / "data")
    assert server.requests[-1][1] is not None  # it went on from the part
    assert len(load("imagenette-320px", tmp_path / "data")) == 30


def test_a_wrong_checksum_then_a_second_run(serve, server, tmp_path):
    serve("imagenette-160px")
    server.faults = ["wrong"]
    lines = []
    with pytest.raises(DownloadError, match="imagenette could not be downloaded"):
        download_dataset("imagenette", tmp_path / "data", size="160px", report=lines.append, progress=False)
    assert "arrived with md5" in lines[-1] and "thrown away" in lines[-1]
    assert_nothing_half(tmp_path / "data", "imagenette-160px")
    get("imagenette-160px", tmp_path / "data")


@pytest.mark.parametrize("form", ["glasses", "afhq", "afhq_v2"])
def test_a_truncated_archive_without_a_checksum(form, serve, tmp_path):
    serve(form, change=lambda body: body[: len(body) * 6 // 10])
    with pytest.raises(DownloadError, match=f"{FORMS[form]['name']} could not be downloaded"):
        get(form, tmp_path / "data")
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())
    serve(form)
    get(form, tmp_path / "data")


def test_a_damaged_member_is_found(serve, tmp_path):
    def flip(body):
        place = len(body) // 3
        return body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]

    serve("afhq_v2", change=flip)
    with pytest.raises(DownloadError):
        get("afhq_v2", tmp_path / "data")
    assert_nothing_half(tmp_path / "data", "afhq_v2")


def test_a_web_page_instead_of_the_archive_and_the_next_source(serve, server, tmp_path):
    """A dead Dropbox link answers with a page; Kaggle's copy is next."""
    serve("afhq")
    authors, kaggle, public = PUBLISHED["afhq"].sources
    server.files[authors.url.removeprefix(server.url)] = b"<!DOCTYPE html><title>File not found</title>"
    _, lines = get("afhq", tmp_path / "data")
    assert [line.split(":")[0] for line in lines] == ["authors", "authors", "kaggle", "kaggle-public"]
    assert "no archive, or cut short" in lines[1] and "passed over" in lines[2]
    assert len(load("afhq", tmp_path / "data")) == 9


def evil_zip(name, mode=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        info = zipfile.ZipInfo(name)
        if mode is not None:
            info.external_attr = mode << 16
        opened.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def evil_tar(name, kind, target=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        opened.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (evil_zip("../outside.txt"), r"'\.\./outside\.txt' would leave the folder"),
        (evil_zip("afhq/../../outside.txt"), "would leave the folder"),
        (evil_zip("/absolute.txt"), "would leave the folder"),
        (evil_zip("..\\outside.txt"), "would leave the folder"),
        (evil_zip("C:/outside.txt"), "would leave the folder"),
        (evil_tar("C:outside.txt", tarfile.REGTYPE), "would leave the folder"),
        (evil_zip("//server/outside.txt"), "would leave the folder"),
        (evil_zip("afhq/link", stat.S_IFLNK | 0o777), "is a link or a device"),
        (evil_tar("../outside.txt", tarfile.REGTYPE), "would leave the folder"),
        (evil_tar("link", tarfile.SYMTYPE, "../../outside"), "is a link or a device"),
        (evil_tar("link", tarfile.LNKTYPE, "/etc/passwd"), "is a link or a device"),
        (evil_tar("device", tarfile.CHRTYPE), "is a link or a device"),
        (evil_zip("a:b.txt"), r"'a:b\.txt' has a colon, which names a drive on Windows"),
        (evil_zip("n" * 300), r"'nnn\S*' has a name that cannot be used here"),
        (evil_zip("afhq/val/cat/" + "\u732b" * 90 + ".jpg"), "has a name that cannot be used here"),
        (evil_tar("\x1b[31m/../../x", tarfile.REGTYPE), r"'\\x1b\[31m/\.\./\.\./x' would leave the folder"),
        (evil_zip("other/thing.txt"), "holds no folder with val in it"),
        (b"not an archive", "no archive, or cut short"),
    ],
    ids=lambda value: value if isinstance(value, str) else "archive",  # an archive's bytes hold the time
)
def test_dangerous_and_foreign_archives_are_refused(body, reason, tmp_path):
    archive = tmp_path / "evil.zip"
    archive.write_bytes(body)
    with pytest.raises(ArchiveError, match=reason):
        download_dataset("afhq", tmp_path / "data", from_file=archive, progress=False)
    assert not list((tmp_path / "data").iterdir())
    assert {p.name for p in tmp_path.iterdir()} <= {"evil.zip", "data", "kaggle", "home"}
    assert archive.read_bytes() == body  # the user's file is never removed


def test_a_file_where_the_archive_has_a_folder_is_told_by_name(tmp_path):
    archive = tmp_path / "twice.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("afhq/val", "a file")
        opened.writestr("afhq/val/cat/1.jpg", "a file in it")
    with pytest.raises(ArchiveError, match=r"its member 'afhq/val/cat/1\.jpg' has a name that cannot be used here"):
        download_dataset("afhq", tmp_path / "data", from_file=archive, progress=False)
    assert not list((tmp_path / "data").iterdir())


def test_an_encrypted_archive_is_called_so(tmp_path):
    archive = pack("afhq", make("afhq", tmp_path / "origin"), tmp_path / "afhq.zip")
    body = bytearray(archive.read_bytes())
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = body.find(sign)
        while at >= 0:
            body[at + place] |= 1
            at = body.find(sign, at + 4)
    archive.write_bytes(body)
    with pytest.raises(ArchiveError, match=r"afhq\.zip: encrypted"):
        download_dataset("afhq", tmp_path / "data", from_file=archive, progress=False)


def test_a_root_that_cannot_be_written_to(serve, tmp_path):
    serve("afhq")
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DownloadError, match=r"data cannot be written to \(.*\); choose another folder with --root"):
        get("afhq", tmp_path / "data")


def test_a_root_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make("afhq", tmp_path / "data")
    assert get("afhq", "~/data")[0] == tmp_path / "data/afhq"
    assert check_dataset("afhq", "~/data", progress=False).folder == tmp_path / "data/afhq"


def test_how_much_of_a_copy_is_there_is_told(tmp_path):
    make("afhq", tmp_path / "data")
    _, lines = get("afhq", tmp_path / "data")
    assert "already there" in lines[0] and "It has 18 of 16,130 pictures; 'zsc datasets check afhq'" in lines[0]


def test_a_copy_that_is_there_needs_no_right_to_write(tmp_path, monkeypatch):
    """A course's data folder belongs to somebody else: no lock, and nothing made."""
    make("afhq", tmp_path / "data")
    monkeypatch.setattr(
        "zsc.datasets.download.locked", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "no"))
    )
    assert get("afhq", tmp_path / "data")[0] == tmp_path / "data/afhq"


def test_an_incomplete_archive_is_no_data_set(tmp_path):
    folder = make("afhq", tmp_path / "origin")
    for file in (folder / "val/dog").iterdir():
        file.unlink()
    archive = pack("afhq", folder, tmp_path / "afhq.zip")
    with pytest.raises(ArchiveError, match="the data set in it is not complete. .*missing dog"):
        download_dataset("afhq", tmp_path / "data", from_file=archive, progress=False)
    assert_nothing_half(tmp_path / "data", "afhq")


@every_form
def test_from_a_file_that_the_user_fetched(form, tmp_path, monkeypatch):
    monkeypatch.setitem(PUBLISHED, form, _with(PUBLISHED[form], checksum=None))
    suffix = ".tgz" if form.startswith("imagenette") else ".zip"
    archive = pack(form, make(form, tmp_path / "origin"), tmp_path / f"mine{suffix}")
    get(form, tmp_path / "data", from_file=archive)
    assert len(load(form, tmp_path / "data")) > 0 and archive.exists()
    with pytest.raises(ArchiveError, match=r"gone\.zip: no such file"):
        get(form, tmp_path / "elsewhere", from_file=tmp_path / "gone.zip")


class TestFullDisk:
    Usage = collections.namedtuple("Usage", "total used free")

    def test_before_the_download(self, serve, tmp_path, monkeypatch):
        serve("imagenette-320px")
        with monkeypatch.context() as patch:
            patch.setattr(files.shutil, "disk_usage", lambda path: self.Usage(0, 0, 1000))
            with pytest.raises(DownloadError, match="imagenette could not be downloaded"):
                get("imagenette-320px", tmp_path / "data")
        assert_nothing_half(tmp_path / "data", "imagenette-320px")
        get("imagenette-320px", tmp_path / "data")

    def test_before_unpacking(self, tmp_path, monkeypatch):
        archive = pack("afhq", make("afhq", tmp_path / "origin"), tmp_path / "afhq.zip")
        monkeypatch.setattr(files.shutil, "disk_usage", lambda path: self.Usage(0, 0, 1000))
        with pytest.raises(OSError, match=r"unpacks to .* GB, and .* GB free; make room"):
            get("afhq", tmp_path / "data", from_file=archive)
        assert_nothing_half(tmp_path / "data", "afhq")

    def test_in_the_middle(self, serve, tmp_path, monkeypatch):
        serve("afhq")

        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        for where in (
            "zsc.datasets.download.zipfile.ZipFile.extract",
            "zsc.files.requests.Response.iter_content",
        ):
            with monkeypatch.context() as patch:
                patch.setattr(where, full)
                root = tmp_path / where.rpartition(".")[2]
                with pytest.raises(DownloadError, match="the disk of .* is full; make room and run it again"):
                    get("afhq", root)
            assert_nothing_half(root, "afhq")
            get("afhq", root)
            assert len(load("afhq", root)) == 9


class TestStopped:
    @pytest.mark.parametrize(
        "where",
        ["zsc.datasets.download.tarfile.TarFile.extract", "zsc.files.requests.Response.iter_content"],
    )
    def test_ctrl_c_then_a_second_run(self, where, serve, tmp_path, monkeypatch, capsys):
        serve("imagenette-160px")

        def stop(*args, **kwargs):
            raise KeyboardInterrupt

        words = ["download", "imagenette", "--size", "160px", "--root", str(tmp_path / "data")]
        with monkeypatch.context() as patch:
            patch.setattr(where, stop)
            assert cli.main(words) == 130
        assert "zsc: stopped; what was fetched is kept" in capsys.readouterr().err
        assert_nothing_half(tmp_path / "data", "imagenette-160px")
        assert cli.main(words) == 0
        assert "imagenette val: 30 pictures, 10 classes" in capsys.readouterr().out

    def test_a_killed_runs_staging_folder_is_cleared(self, serve, tmp_path):
        serve("afhq")
        picture(tmp_path / "data/.afhq.unpacking-x/afhq/val/cat/half.jpg")
        get("afhq", tmp_path / "data")
        assert {p.name for p in (tmp_path / "data").iterdir()} == {"afhq"}
        assert len(load("afhq", tmp_path / "data")) == 9


def test_an_incomplete_folder_of_the_user_is_left_alone(serve, tmp_path):
    serve("afhq")
    mine = make("afhq", tmp_path / "data", splits=["val"])
    before = sorted(mine.rglob("*"))
    with pytest.raises(DownloadError, match=r"afhq is there but not complete .*train.* move it away, or mend it"):
        get("afhq", tmp_path / "data")
    assert sorted(mine.rglob("*")) == before


def test_load_dataset_downloads_where_it_is_asked_to(serve, server, tmp_path):
    serve("afhq")
    assert len(zsc.load_dataset("afhq", tmp_path / "data", download=True)) == 9
    count = len(server.requests)
    assert len(zsc.load_dataset("afhq", tmp_path / "data", download=True)) == 9 and len(server.requests) == count
    assert len(zsc.load_dataset("samples", download=True)) == 17


def test_unknown_names_and_sources(tmp_path):
    with pytest.raises(
        ValueError, match="'cifar' cannot be downloaded; the data set must be one of glasses, afhq, imagenette"
    ):
        download_dataset("cifar", tmp_path)
    with pytest.raises(ValueError, match="source='torrent'; source must be one of authors, kaggle, kaggle-public"):
        download_dataset("afhq", tmp_path, source="torrent")
    with pytest.raises(ValueError, match="version=3; version must be one of 1, 2"):
        download_dataset("afhq", tmp_path, version=3)


class TestKaggle:
    def test_credentials_are_sent_and_never_shown(self, serve, server, tmp_path, monkeypatch, capsys, caplog):
        serve("glasses")
        other = FileServer({"/signed": server.files["/ZSC_KAGGLE_URL/jeffheaton/glasses-or-no-glasses"]})
        monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
        server.faults = [("to", f"{other.url}/signed?signature={SECRET}")]
        try:
            assert cli.main(["download", "glasses", "--root", str(tmp_path / "data")]) == 0
        finally:
            other.close()
        assert server.requests[0][2] == f"Bearer {SECRET}"
        assert other.requests[0][2] is None  # not sent on to where Kaggle redirects
        assert SECRET not in "".join(capsys.readouterr()) + caplog.text

    @pytest.mark.parametrize("fault", [401, 403, "cut", ("to", "http://127.0.0.1:9/x?signature=" + SECRET)])
    def test_a_refused_login_goes_on_to_the_public_copy(self, fault, serve, server, tmp_path, monkeypatch, capsys):
        body = serve("glasses")
        monkeypatch.setenv("KAGGLE_USERNAME", "someone")
        monkeypatch.setenv("KAGGLE_KEY", SECRET)
        server.faults = [fault] * (4 if fault == "cut" else 1)
        assert cli.main(["download", "glasses", "--root", str(tmp_path / "data")]) == 0
        out, err = capsys.readouterr()
        assert server.requests[0][2].startswith("Basic ") and server.requests[-1][2] is None
        assert "kaggle: failed." in out and "kaggle-public" in out and body
        assert SECRET not in out + err and server.requests[0][2].split()[1] not in out + err

    def test_a_readable_kaggle_json_is_told(self, serve, tmp_path):
        serve("glasses")
        file = tmp_path / "kaggle/kaggle.json"
        file.parent.mkdir()
        file.write_text(json.dumps({"username": "someone", "key": SECRET}))
        file.chmod(0o644)
        _, lines = get("glasses", tmp_path / "data")
        assert any(f"others on this machine can read {file}; run chmod 600" in line for line in lines)
        assert SECRET not in "".join(lines)
        file.chmod(0o600)
        _, lines = get("glasses", tmp_path / "data2")
        assert not any("chmod" in line for line in lines)

    def test_a_damaged_kaggle_json_is_told(self, serve, tmp_path):
        serve("glasses")
        file = tmp_path / "kaggle/kaggle.json"
        file.parent.mkdir()
        file.write_text(f'{{"key": "{SECRET}"')
        file.chmod(0o600)
        _, lines = get("glasses", tmp_path / "data")
        assert "cannot be read as Kaggle's credentials" in lines[0] and SECRET not in "".join(lines)

    def test_no_credentials_and_no_network(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("ZSC_KAGGLE_URL", "http://127.0.0.1:9")
        assert cli.main(["download", "glasses", "--root", str(tmp_path / "data")]) == 1
        out, err = capsys.readouterr()
        assert "kaggle: failed. No Kaggle credentials on this machine, passed over" in out and "no network" in out
        assert (
            "tried: kaggle: No Kaggle credentials on this machine, passed over; kaggle-public: http://127.0.0.1:9/jeffheaton"
            in err
        )
        for way in ("Three ways on", "--from FILE", "ZSC_KAGGLE_URL", "put an unpacked copy at"):
            assert way in err


class TestCheck:
    def test_a_sound_data_set_has_only_too_few_pictures(self, tmp_path):
        make("imagenette-160px", tmp_path)
        found = check_dataset("imagenette", tmp_path, size="160px", progress=False)
        assert found.counts["found"].tolist() == [3] * 20 and found.counts["published"].sum() == 9469 + 3925
        assert found.duplicates.empty and found.unreadable.empty
        assert all("3 of" in p for p in found.problems) and found.bytes > 1000

    def test_planted_faults_are_found(self, tmp_path, capsys):
        folder = make("afhq", tmp_path)
        twin = folder / "val/dog/twin.jpg"
        twin.write_bytes((folder / "train/cat/flickr_cat_000001.jpg").read_bytes())
        corrupt = folder / "val/cat/flickr_cat_000002.jpg"
        corrupt.write_bytes(corrupt.read_bytes()[:100])
        for file in (folder / "train/wild").iterdir():
            file.unlink()
        (folder / "train/wild").rmdir()
        found = check_dataset("afhq", tmp_path, progress=False)
        assert found.duplicates["splits"].tolist() == [["train", "val"]]
        assert set(found.duplicates["images"][0]) == {str(twin), str(folder / "train/cat/flickr_cat_000001.jpg")}
        assert found.unreadable["image"].tolist() == [str(corrupt)]
        assert "train wild: 0 of 4738 pictures" in found.problems
        assert any("in two splits" in p for p in found.problems) and any("in two classes" in p for p in found.problems)
        assert cli.main(["datasets", "check", "afhq", "--root", str(tmp_path)]) == 1
        out = capsys.readouterr().out
        for sign in ("4738", "twin.jpg", "flickr_cat_000002.jpg", "problem: train wild: 0 of 4738 pictures"):
            assert sign in out
        assert cli.main(["datasets", "check", "afhq", "--root", str(tmp_path), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["pictures"] == 16

    def test_a_file_that_cannot_be_read_is_one_of_the_unreadable(self, tmp_path, monkeypatch):
        folder = make("afhq", tmp_path)
        locked_away = folder / "val/cat/flickr_cat_000001.jpg"
        (folder / "val/cat/twin.jpg").write_bytes(locked_away.read_bytes())

        def refuse(path, *words, **options):
            if Path(path) == locked_away:
                raise PermissionError(13, "Permission denied", str(path))
            return original(path, *words, **options)

        original = Path.open
        monkeypatch.setattr(Path, "open", refuse)
        found = check_dataset("afhq", tmp_path, progress=False)
        assert found.duplicates.empty and found.bytes > 0

    def test_glasses_with_a_missing_face(self, tmp_path):
        folder = make("glasses", tmp_path)
        next((folder / "faces-spring-2020").rglob("face-7.png")).unlink()
        found = check_dataset("glasses", tmp_path, progress=False)
        assert found.missing == ["face-7.png"] and found.counts["found"].tolist() == [26, 3]
        (folder / "test.csv").unlink()
        assert check_dataset("glasses", tmp_path, progress=False).missing[-1].endswith("test.csv")

    def test_published_counts_and_nothing_wrong(self, tmp_path, monkeypatch, capsys):
        make_classes(tmp_path / "afhq/val", ["cat", "dog", "wild"], ".jpg")
        counts = {"val": {"cat": 3, "dog": 3, "wild": 3}}
        monkeypatch.setitem(PUBLISHED, "afhq", _with(PUBLISHED["afhq"], counts=counts))
        assert cli.main(["datasets", "check", "afhq", "--root", str(tmp_path)]) == 0
        assert "Nothing is missing, damaged or shared" in capsys.readouterr().out

    def test_nothing_there(self, tmp_path, capsys):
        with pytest.raises(
            FileNotFoundError,
            match="Run 'zsc download afhq --version 1', or fetch it by hand from https://github.com/clovaai",
        ):
            check_dataset("afhq", tmp_path)
        assert cli.main(["datasets", "check"]) == 1
        assert "no data set named" in capsys.readouterr().err


class TestPublished:
    def test_the_counts_add_up_to_the_published_totals(self):
        totals = {form: sum(sum(c.values()) for c in p.counts.values()) for form, p in PUBLISHED.items()}
        assert totals["afhq"] == 16130 and totals["afhq_v2"] == 15803 and totals["glasses"] == 5000
        assert totals["imagenette-320px"] == 9469 + 3925

    def test_the_checksums_and_addresses_are_torchvisions(self):
        from torchvision.datasets import Imagenette

        sizes = {"320px": "320px", "160px": "160px", "full": "full"}
        for size, theirs in sizes.items():
            url, md5 = Imagenette._ARCHIVES[theirs]
            published = PUBLISHED[f"imagenette-{size}"]
            assert published.sources[0].url == url and published.checksum == f"md5:{md5}"

    def test_the_cards_name_every_source_and_count(self):
        from test_project import ROOT

        for form, published in PUBLISHED.items():
            card = (ROOT / f"data/{published.dataset}.md").read_text(encoding="utf-8")
            for source in published.sources:
                assert source.path.partition("?")[0].rpartition("/")[2] in card, (form, source.name)
            for counts in published.counts.values():
                assert all(str(n) in card for n in counts.values()), form


class TestSuspects:
    def test_the_list(self):
        from zsc.datasets.glasses import suspect_ids

        ids = suspect_ids()
        assert len(ids) == 523 and sorted(i for i in ids if i <= 100) == [30, 31, 45, 58, 71, 85, 89, 98]

    def test_left_out_on_request(self, tmp_path):
        from layouts import make_glasses

        make_glasses(tmp_path / "glasses", n=40)
        every = zsc.load_dataset("glasses", tmp_path)
        rest = zsc.load_dataset("glasses", tmp_path, drop_suspects=True)
        assert {p.name for p in every.paths} - {p.name for p in rest.paths} == {"face-30.png", "face-31.png"}
        assert len(every) == 40 and len(rest) == 38 and "left out" in rest.notes
        assert all(label == int(p.stem[5:]) % 2 for p, label in rest)


@pytest.mark.slow
def test_a_full_size_table(tmp_path):
    """train.csv with 4500 x 514 values, as Kaggle has it."""
    folder = tmp_path / "glasses"
    (folder / "faces-spring-2020").mkdir(parents=True)
    for i in range(1, 5001):
        (folder / f"faces-spring-2020/face-{i}.png").touch()
    latents = np.random.default_rng(0).normal(size=(4500, 512)).round(6)
    frame = pd.DataFrame(latents, columns=[f"v{i}" for i in range(512)])
    frame.insert(0, "id", range(1, 4501))
    frame["glasses"] = 1
    frame.to_csv(folder / "train.csv", index=False)
    assert len(zsc.load_dataset("glasses", tmp_path)) == 4500


class TestWholeArchives:
    """Only the published archive, whole to its last byte, becomes a data set."""

    def test_another_archive_than_the_published_one(self, tmp_path):
        archive = pack("imagenette-160px", make("imagenette-160px", tmp_path / "origin"), tmp_path / "mine.tgz")
        with pytest.raises(ArchiveError, match="its md5 is not 3df6f0d01a2c9592104656642f5e78a3"):
            get("imagenette-320px", tmp_path / "data", from_file=archive)
        assert_nothing_half(tmp_path / "data", "imagenette-320px")

    @pytest.mark.parametrize("form", ["afhq", "imagenette-160px"])
    def test_cut_anywhere(self, form, tmp_path, monkeypatch):
        monkeypatch.setitem(PUBLISHED, form, _with(PUBLISHED[form], checksum=None))
        suffix = ".tgz" if form.startswith("imagenette") else ".zip"
        whole = pack(form, make(form, tmp_path / "origin"), tmp_path / f"whole{suffix}").read_bytes()
        for share in (0.0005, 0.01, 0.3, 0.6, 0.9, 0.999):
            archive = tmp_path / f"cut{suffix}"
            archive.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(ArchiveError, match="cut short|damaged"):
                get(form, tmp_path / "data", from_file=archive)
            assert_nothing_half(tmp_path / "data", form)

    def test_bytes_changed_in_a_compressed_tar(self, tmp_path, monkeypatch):
        form = "imagenette-160px"
        monkeypatch.setitem(PUBLISHED, form, _with(PUBLISHED[form], checksum=None))
        whole = pack(form, make(form, tmp_path / "origin"), tmp_path / "whole.tgz").read_bytes()
        rng = np.random.default_rng(0)
        for _ in range(12):
            body = bytearray(whole)
            for place in rng.integers(20, len(body), 3):
                body[place] ^= 0x5A
            archive = tmp_path / "changed.tgz"
            archive.write_bytes(bytes(body))
            with pytest.raises(ArchiveError):
                get(form, tmp_path / "data", from_file=archive)
            assert_nothing_half(tmp_path / "data", form)

    def test_the_archive_of_a_stopped_run_is_not_fetched_again(self, serve, server, tmp_path, monkeypatch):
        body = serve("afhq")
        with monkeypatch.context() as patch:
            patch.setattr("zsc.datasets.download.unpack", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                get("afhq", tmp_path / "data")
        get("afhq", tmp_path / "data")
        assert server.requests[-1][1] == f"bytes={len(body)}-"  # asked whether there is more; there is not
        assert len(load("afhq", tmp_path / "data")) == 9


class TestLogins:
    """Credentials of any shape are read or told; they go to Kaggle alone, and stand in no message and no log."""

    def test_the_reason_stands_in_the_error(self, serve, server, tmp_path):
        serve("imagenette-160px")
        server.faults = [403]
        with pytest.raises(DownloadError, match="tried: fast.ai: .*HTTP 403"):
            get("imagenette-160px", tmp_path / "data")

    def test_a_token_from_a_windows_file(self, serve, server, tmp_path, monkeypatch, capsys):
        serve("glasses")
        monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET + "\r")
        get("glasses", tmp_path / "data")
        assert server.requests[0][2] == f"Bearer {SECRET}"
        monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET + "\nX: y")
        _, lines = get("glasses", tmp_path / "data2")
        assert any("letters that no credentials have" in line for line in lines)
        assert SECRET not in "".join(capsys.readouterr()) + "".join(lines)

    def test_signed_addresses_are_not_logged(self, serve, server, tmp_path, monkeypatch, caplog):
        serve("glasses")
        monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
        server.faults = [("to", f"{server.url}/gone?signature={SECRET}")]
        with caplog.at_level("DEBUG"):
            get("glasses", tmp_path / "data")
        assert SECRET not in caplog.text

    def test_a_login_in_a_mirrors_address_is_not_shown(self, serve, server, tmp_path, monkeypatch):
        serve("afhq")
        monkeypatch.setenv("ZSC_AFHQ_URL", f"http://bob:{SECRET}@127.0.0.1:{server.server_port}/gone")
        _, lines = get("afhq", tmp_path / "data")
        assert "authors: failed." in "".join(lines) and SECRET not in "".join(lines)

    @pytest.mark.parametrize(
        ("url", "may"),
        [
            ("https://www.kaggle.com/api", True),
            ("http://www.kaggle.com/api", False),
            ("https://kaggle.com.evil.example/api", False),
            ("https://mirror.example/api", False),
            ("http://127.0.0.1:80/api", False),
            ("https://kaggle.com:443/api", False),
            ("https://www.kaggle.com", False),
            ("https://www.kaggle.com\\@evil.example/api", False),
            ("https://kaggle.com:8443/api", False),
            ("https://evil.example\\@www.kaggle.com/api", False),
            ("https://www.kaggle.com@evil.example/api", False),
            ("https://user:word@www.kaggle.com/api", False),
            ("https://evil.example#@www.kaggle.com/api", False),
            ("https://evil.example?.kaggle.com/api", False),
            ("https://evil.example/.kaggle.com", False),
            ("https://evil%2fexample.kaggle.com/api", False),
            ("https://evil.example\t.kaggle.com/api", False),
            ("https://evilkaggle.com/api", False),
            ("https://localhost/api", False),
            ("https://[::1]/api", False),
            ("https://[::1", False),
            ("www.kaggle.com/api", False),
            ("", False),
        ],
    )
    def test_the_login_goes_to_kaggle_only(self, url, may):
        assert may_log_in(url) is may

    def test_what_may_log_in_is_where_requests_connects(self):
        for url in ("https://www.kaggle.com/api", "https://www.kaggle.com/\\@evil.example/api"):
            prepared = requests.Request("GET", url).prepare()
            assert may_log_in(url) and requests.utils.urlparse(prepared.url).hostname == "www.kaggle.com"
        prepared = requests.Request("GET", "https://evil.example\\@www.kaggle.com/api").prepare()
        assert requests.utils.urlparse(prepared.url).hostname == "evil.example"  # what urllib's own parser does not see

    def test_a_mirror_is_sent_no_login(self, serve, server, tmp_path, monkeypatch):
        serve("glasses")
        monkeypatch.setattr(downloading, "TRUSTED", "https://www.kaggle.com/")
        monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
        _, lines = get("glasses", tmp_path / "data")
        assert any("is not Kaggle's, so that no login is sent there" in line for line in lines)
        assert all(login is None for _, _, login in server.requests)

    @pytest.mark.parametrize(
        "content",
        [
            b'{"username": "someone", "key": 123}',
            b'{"username": ["someone"], "key": "k"}',
            b'{"username": "someone", "key": null}',
            b'{"username": "", "key": "k"}',
            b'["username", "key"]',
            b'"username and key"',
            b"17",
            b"\xff\xfe\x00",
            b"",
        ],
    )
    def test_credentials_of_another_shape_are_told(self, content, tmp_path, monkeypatch):
        file = tmp_path / "kaggle/kaggle.json"
        file.parent.mkdir()
        file.write_bytes(content)
        file.chmod(0o600)
        lines = []
        assert kaggle_login(lines.append) is None
        assert len(lines) == 1 and f"{file} cannot be read as Kaggle's credentials" in lines[0]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_credentials_from_a_windows_editor(self, encoding, tmp_path):
        file = tmp_path / "kaggle/kaggle.json"
        file.parent.mkdir()
        file.write_text(json.dumps({"username": "someone", "key": SECRET}), encoding=encoding)
        file.chmod(0o600)
        login = kaggle_login(print)
        assert (login.username, login.password) == ("someone", SECRET)

    def test_without_a_home_directory_the_environment_is_asked(self):
        code = (
            "import os, pwd; pwd.getpwuid = {}.__getitem__\n"
            "from zsc.datasets.download import kaggle_login\n"
            "print(kaggle_login(print)); os.environ.update(KAGGLE_USERNAME='me', KAGGLE_KEY='k')\n"
            "print(kaggle_login(print).username)\n"
            "from zsc.models.weights import get_weights, weights_are_here\n"
            "print(weights_are_here('RN50'))\n"
            "try: get_weights('RN50')\n"
            "except OSError as error: print(error)"
        )
        bare = {k: v for k, v in os.environ.items() if k not in ("HOME", "ZSC_WEIGHTS", "KAGGLE_CONFIG_DIR")}
        done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
        none, name, here, error = done.stdout.splitlines()
        assert (none, name, here) == ("None", "me", "False")
        assert "it has no home directory" in error and "set ZSC_WEIGHTS to a folder" in error


class TestOthers:
    """Servers that lie, and other processes that fetch the same."""

    def test_a_server_that_sends_another_part(self, tmp_path):
        server = FileServer({"/w.bin": b"0123456789" * 1000})
        (tmp_path / "w.bin.part").write_bytes(b"0123")
        original = server.RequestHandlerClass.answer

        def lie(handler, status, headers=None, body=b""):
            return original(handler, status, {**(headers or {}), "Content-Range": "bytes 0-9999/10000"}, body)

        server.RequestHandlerClass = type("Lying", (server.RequestHandlerClass,), {"answer": lie})
        try:
            with pytest.raises(DownloadError, match="another part than was asked for"):
                files.fetch(f"{server.url}/w.bin", tmp_path / "w.bin", checksum="md5:0", progress=False, attempts=2)
        finally:
            server.close()
        assert not (tmp_path / "w.bin").exists()

    def test_who_waits_for_another_process_is_told(self, serve, tmp_path, monkeypatch):
        serve("afhq")
        monkeypatch.setattr("zsc.datasets.download.locked", partial(files.locked, patience=0.05))
        release, held = threading.Event(), threading.Event()

        def hold():
            with files.locked(tmp_path / "data/afhq"):
                held.set()
                release.wait()

        (tmp_path / "data").mkdir()
        other = threading.Thread(target=hold)
        other.start()
        held.wait()
        threading.Timer(0.5, release.set).start()
        folder, lines = get("afhq", tmp_path / "data")
        other.join()
        assert f"another process is making {folder}; waiting for it" in lines[0]
        assert {p.name for p in folder.parent.iterdir()} == {"afhq"}  # and no lock stays

    def test_two_at_once(self, serve, tmp_path):
        serve("afhq")
        folders, errors = [], []

        def one():
            try:
                folders.append(get("afhq", tmp_path / "data")[0])
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors and len(folders) == 3 and len(load("afhq", tmp_path / "data")) == 9


def test_a_split_that_is_not_there_is_refused_before_the_download(server, tmp_path):
    with pytest.raises(ValueError, match="split='test'; .*val, train"):
        zsc.load_dataset("imagenette", tmp_path, "test", download=True)
    assert not server.requests and not list(tmp_path.glob("data*"))
