"""Files are written whole or not at all, locked one by one, and shown as they are."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import yaml

from zsc import files
from zsc.files import expanded, locked, printable, read_yaml, sweep, write_whole

IS_ROOT = os.name == "posix" and os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs the right to change the user")


def run(code, *words, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, text=True, **options
    )


@pytest.fixture
def open_folder():
    """A folder that other users can get to, as they cannot get to pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


class Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, room):
        self.room = room

    def __call__(self, file):
        file.write(b"x" * self.room)
        raise OSError(28, "No space left on device")


class TestWriteWhole:
    @pytest.mark.parametrize("content", [b"caf\xc3\xa9", "café", lambda file: file.write("café".encode())])
    def test_bytes_texts_and_functions(self, content, tmp_path):
        assert write_whole(tmp_path / "a", content) == tmp_path / "a"
        assert (tmp_path / "a").read_bytes() == "café".encode() and names(tmp_path) == ["a"]

    def test_it_is_on_the_disk_before_it_has_its_name(self, tmp_path, monkeypatch):
        done = []
        sync, replace = os.fsync, Path.replace
        monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.fstat(fd).st_size), sync(fd)))
        monkeypatch.setattr(Path, "replace", lambda self, to: (done.append("renamed"), replace(self, to))[1])
        write_whole(tmp_path / "a", b"12345")
        assert done[:2] == [5, "renamed"]

    def test_a_writer_that_closes_its_file(self, tmp_path):
        def closing(file):
            with file:
                file.write(b"all")

        assert write_whole(tmp_path / "a", closing).read_bytes() == b"all"

    @pytest.mark.parametrize("fault", [Full(10), lambda file: 1 / 0, lambda file: file.write("a text")])
    def test_what_goes_wrong_leaves_the_old_file(self, fault, tmp_path):
        (tmp_path / "a").write_bytes(b"old")
        with pytest.raises((OSError, ArithmeticError, TypeError)):
            write_whole(tmp_path / "a", fault)
        assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]

    def test_a_full_disk_is_told_with_the_name(self, tmp_path):
        with pytest.raises(
            OSError, match=r"^\S+/a could not be written \(No space left on device\); make room"
        ) as caught:
            write_whole(tmp_path / "a", Full(10))
        assert caught.value.errno == 28 and not names(tmp_path)

    def test_the_kind_of_the_error_stays(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="could not be written .*; make its folder first, or name another"):
            write_whole(tmp_path / "gone/a", b"")
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match="could not be written"):
            write_whole(tmp_path / "file/a", b"")
        with pytest.raises(OSError, match="choose a shorter name"):
            write_whole(tmp_path / ("n" * 300), b"")

    def test_an_error_about_another_file_is_not_taken_for_ours(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="No such file or directory: .*other"):
            write_whole(tmp_path / "a", lambda file: file.write((tmp_path / "other").read_bytes()))

    def test_a_text_that_is_no_utf8_opens_nothing(self, tmp_path):
        with pytest.raises(ValueError, match=r"a: cannot be written as UTF-8 \(near 'name: caf\\\\xe9'\)"):
            write_whole(tmp_path / "a", "name: caf\udce9")
        assert not names(tmp_path)

    @pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
    def test_what_is_no_name(self, name, tmp_path):
        with pytest.raises(ValueError, match="cannot be the name of a file"):
            write_whole(tmp_path / name, b"")

    @pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX")
    def test_names_of_any_bytes_and_of_the_full_length(self, tmp_path):
        for name in ("caf\udce9", "猫" * 85, "n" * 255, ".hidden", "with\nbreak"):
            assert write_whole(tmp_path / name, b"x").read_bytes() == b"x"

    def test_a_folder_is_refused(self, tmp_path):
        for path in (tmp_path, tmp_path / "..", Path("/"), Path()):
            with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
                write_whole(path, b"")

    @pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
    def test_rights_stay_as_they_were(self, tmp_path):
        (tmp_path / "secret").touch()
        (tmp_path / "secret").chmod(0o600)
        seen = []
        write_whole(tmp_path / "secret", lambda file: seen.append(os.fstat(file.fileno()).st_mode))
        assert stat.S_IMODE(seen[0]) == 0o600 == stat.S_IMODE((tmp_path / "secret").stat().st_mode)
        write_whole(tmp_path / "new", b"")
        (tmp_path / "usual").touch()
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode

    def test_links_are_followed(self, tmp_path):
        (tmp_path / "far").mkdir()
        (tmp_path / "link").symlink_to("far/file")  # not there yet
        (tmp_path / "second").symlink_to("link")
        write_whole(tmp_path / "second", b"1")
        assert (tmp_path / "far/file").read_bytes() == b"1" and (tmp_path / "link").is_symlink()
        write_whole(tmp_path / "link", b"2")
        assert (tmp_path / "far/file").read_bytes() == b"2" and names(tmp_path / "far") == ["file"]

    @needs_root
    def test_a_write_protected_file_and_a_read_only_folder(self, open_folder):
        tmp_path = open_folder
        (tmp_path / "kept").write_bytes(b"kept")
        (tmp_path / "kept").chmod(0o444)
        code = "import os, sys; from zsc import files; os.setuid(12345); files.write_whole(sys.argv[1], b'new')"
        for name, mode in (("kept", 0o777), ("new", 0o555)):
            tmp_path.chmod(mode)
            done = run(code, tmp_path / name, stderr=subprocess.PIPE)
            error = done.communicate()[1]
            assert f"{name} could not be written (Permission denied); choose a place that you may write to" in error
        assert (tmp_path / "kept").read_bytes() == b"kept" and names(tmp_path) == ["kept"]

    @pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev")
    def test_streams_are_written_to_and_not_replaced(self, tmp_path):
        code = "from zsc import files; files.write_whole('/dev/stdout', b'second\\n')"
        with (tmp_path / "log").open("w") as log:
            log.write("first\n")
            log.flush()
            subprocess.run([sys.executable, "-c", code], stdout=log, check=True)
        assert (tmp_path / "log").read_text() == "first\nsecond\n"
        assert run(code).communicate()[0] == "second\n"
        with pytest.raises(OSError, match=r"/dev/full could not be written \(No space left on device\)"):
            write_whole("/dev/full", b"x" * 100_000)

    @pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm")
    def test_files_in_memory_are_files(self):
        path = Path(f"/dev/shm/zsc-test-{os.getpid()}")
        try:
            write_whole(path, b"longer")
            assert write_whole(path, b"short").read_bytes() == b"short"
        finally:
            path.unlink(missing_ok=True)

    def test_two_writers(self, tmp_path):
        texts = [bytes([65 + i]) * 200_000 for i in range(8)]
        threads = [threading.Thread(target=write_whole, args=(tmp_path / "a", text)) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (tmp_path / "a").read_bytes() in texts and names(tmp_path) == ["a"]

    def test_an_interrupt_leaves_nothing(self, tmp_path):
        def stop(file):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_whole(tmp_path / "a", stop)
        assert not names(tmp_path)


KILLED = """
import os, signal, sys
from zsc.files import write_whole
def die(file):
    file.write(b"half"); file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_whole(sys.argv[1], die)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
class TestSweep:
    def test_a_killed_write_leaves_the_old_file_and_the_next_run_clears_up(self, tmp_path, monkeypatch):
        (tmp_path / "a").write_bytes(b"old")
        assert run(KILLED, tmp_path / "a").wait() == -signal.SIGKILL
        assert (tmp_path / "a").read_bytes() == b"old" and len(names(tmp_path)) == 2
        monkeypatch.setattr(files, "_SWEPT", set())  # as in a new process
        write_whole(tmp_path / "b", b"new")
        assert names(tmp_path) == ["a", "b"]

    def test_only_what_is_dead_and_ours(self, tmp_path):
        assert run(KILLED, tmp_path / "a").wait() == -signal.SIGKILL
        (dead,) = tmp_path.iterdir()
        number = files.TEMPORARY.fullmatch(dead.name)["pid"]
        kept = {
            dead.name.replace(number, str(os.getpid())): "of a process that lives",
            dead.name.replace(files._HOST, "0" * 8): "of another machine, this week",
            ".a.zsc-tmp": "of somebody else",
            f".a.{number}-0.zsc-tmp": "of somebody else",
            "a.zsc-tmp": "of somebody else",
            dead.name + ".txt": "of somebody else",
        }
        for name in kept:
            (tmp_path / name).touch()
        (tmp_path / dead.name.replace("-0.", "-1.")).mkdir()
        (tmp_path / dead.name.replace(number, "9" * 30)).touch()  # no process has such a number
        gone = sweep(tmp_path)
        assert set(names(tmp_path)) == {*kept, dead.name.replace("-0.", "-1.")}
        assert len(gone) == 2 and dead in gone

    def test_a_week_later(self, tmp_path):
        """The numbers of processes come again, and other machines cannot be asked."""
        for name in (f".a.{files._HOST}-{os.getpid()}-0.zsc-tmp", f".a.{'0' * 8}-1-0.zsc-tmp"):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (0, time.time() - 8 * 86_400))
        assert len(sweep(tmp_path)) == 2 and not names(tmp_path)

    def test_a_link_is_removed_and_not_what_it_leads_to(self, tmp_path):
        assert run(KILLED, tmp_path / "a").wait() == -signal.SIGKILL
        (dead,) = tmp_path.iterdir()
        dead.unlink()
        (tmp_path / "mine").write_text("mine")
        dead.symlink_to("mine")
        sweep(tmp_path)
        assert names(tmp_path) == ["mine"]

    def test_a_folder_that_is_not_there(self, tmp_path):
        assert sweep(tmp_path / "gone") == []


HOLD = """
import select, sys
from zsc.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    select.select([sys.stdin], [], [], 30)
"""


def hold(path, code=HOLD, *words):
    """Start a process that holds the lock of `path` until it is let go, or half a minute."""
    return run(code, path, *words, stdin=subprocess.PIPE)


def let_go(process):
    process.stdin.write("\n")
    process.stdin.flush()


class TestLocked:
    def test_one_at_a_time_and_nothing_stays(self, tmp_path):
        inside, most = [0], [0]

        def one():
            with locked(tmp_path / "a"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.01)
                inside[0] -= 1

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1] and not names(tmp_path)

    def test_processes_wait_for_each_other_and_say_so(self, tmp_path):
        other, lines = hold(tmp_path / "a"), []
        assert other.stdout.readline() == "held\n"
        with locked(tmp_path / "a", report=lambda line: let_go(other) or lines.append(line), patience=0.05):
            assert other.wait() == 0
        assert len(lines) == 1 and f"another process is making {tmp_path / 'a'}; waiting for it" in lines[0]

    def test_it_is_said_without_a_report_too(self, tmp_path, monkeypatch):
        other, said = hold(tmp_path / "a"), []
        other.stdout.readline()
        monkeypatch.setattr("zsc.files._log.warning", lambda line: let_go(other) or said.append(line))
        with locked(tmp_path / "a", patience=0.05):
            pass
        assert len(said) == 1 and "waiting for it" in said[0] and other.wait() == 0

    @pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
    def test_the_lock_of_a_killed_process_is_free(self, tmp_path):
        other, lines = hold(tmp_path / "a"), []
        other.stdout.readline()
        other.kill()
        other.wait()
        with locked(tmp_path / "a", report=lines.append):
            assert names(tmp_path) == [".a.lock"]
        assert not lines and not names(tmp_path)

    def test_links_and_dots_name_the_same_lock(self, tmp_path, monkeypatch):
        (tmp_path / "far").mkdir()
        (tmp_path / "link").symlink_to("far")
        monkeypatch.chdir(tmp_path / "far")
        for name in (tmp_path / "far", tmp_path / "link", Path(), Path("../far/")):
            with locked(name):
                assert ".far.lock" in names(tmp_path)

    def test_a_folder_that_is_not_there_is_told(self, tmp_path):
        with (
            pytest.raises(OSError, match="gone/a could not be written .*; make its folder first"),
            locked(tmp_path / "gone/a"),
        ):
            pass

    @pytest.mark.slow
    @needs_root
    @pytest.mark.parametrize("mode", [0o777, 0o1777])
    def test_a_second_user_takes_it(self, mode, open_folder):
        """In a folder that all may write to, also where only its owner may remove a file."""
        shared = open_folder / "shared"
        shared.mkdir()
        shared.chmod(mode)
        as_user = "import os, sys; from zsc.files import locked; os.setuid(int(sys.argv[2]));"
        first = hold(shared / "a", as_user + HOLD, 12345)
        assert first.stdout.readline() == "held\n"
        second = hold(shared / "a", as_user + HOLD, 12346)
        let_go(first)
        let_go(second)
        assert second.stdout.readline() == "held\n" and first.wait() == second.wait() == 0
        assert not names(shared)


class TestPrintable:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a photo of a café, 猫, שלום, 👩‍🚀", "a photo of a café, 猫, שלום, 👩‍🚀"),
            ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
            ("two\nlines\r\tand \x9b1m", r"two\nlines\r\tand \x9b1m"),
            ("caf\udce9", r"caf\xe9"),
            ("\ud800", r"\ud800"),
            ("gpj.\u202egnp", r"gpj.\u202egnp"),
            ("a\u2028b\x00", r"a\u2028b\x00"),
            (Path("a b"), "a b"),
            (None, "None"),
        ],
    )
    def test_what_moves_a_terminal_is_escaped(self, text, shown):
        assert printable(text) == shown and printable(text).encode()


def keys_given_twice(node):
    found = []
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        found += sorted(key for key in {*keys} if keys.count(key) > 1)
    for child in node.value if isinstance(node.value, list) else []:
        for one in child if isinstance(child, tuple) else (child,):
            found += keys_given_twice(one)
    return found


OURS = sorted(Path(files.__file__).parent.rglob("*.yaml"))


@pytest.mark.parametrize("path", OURS, ids=[f"{path.parent.name}/{path.name}" for path in OURS])
def test_our_own_tables_say_the_same_without_libyaml_and_nothing_twice(path):
    text = path.read_text(encoding="utf-8")
    assert repr(read_yaml(str(path), path.name)) == repr(yaml.safe_load(text))
    assert keys_given_twice(yaml.compose(text)) == []
    assert keys_given_twice(yaml.compose("a: {b: [1, {c: 1, c: 2}]}\na: 2")) == ["a", "c"]


def test_without_a_home_directory_a_path_stays_as_it_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert expanded("~/x") == Path("~/x") and expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
