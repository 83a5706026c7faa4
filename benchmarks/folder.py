"""Classify and sort a folder as people have them, kill both at random moments, undo; and measure what it costs.

Usage: python -m benchmarks.folder [N] [FOLDER]. N (1,000) photographs of 500 x 375 get the names that people and
systems give; broken files, links and litter lie among them. The model is `conse`, with eight classes. What must be
equal is asserted; on a machine that does other work, too, look at the processor's seconds. FOLDER is new, or
temporary.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import zsc
from zsc.sorting import PLAN
from zsc.spreadsheet import write_answers

NAMES = (
    b"a b.jpg", b"it's \"quoted\".jpg", b"new\nline.jpg", "emoji \N{DOG FACE}.jpg".encode(), b"=1+1.jpg", b"UPPER.JPG",
    b"bad\xff.jpg", b"@cmd.jpg", b"-x.jpg", b"tab\t.jpg", b"CON.jpg", b"dup.jpg", b"one/dup.jpg", b"two two/DUP.JPG",
)  # fmt: skip
LITTER = ("Thumbs.db", ".DS_Store", "desktop.ini", "._a b.jpg", ".directory", "clip.mp4", "paper.pdf")
BROKEN, KILLS, ROWS = 10, 5, 200_000
CLASSES = ("a cat", "a rocket", "a cup of coffee", "a flower", "a temple", "a motorcycle", "the moon", "a brick wall")
OTHERS = ("an animal", "a machine", "food", "a plant", "a building", "a vehicle", "the sky", "a surface")
ALONE = """
import sys, zsc
pictures = zsc.ImageDataset.from_pictures(sys.argv[1])
zsc.embed_images(zsc.load_model("conse"), pictures, on_error="record", progress=False)
"""


class Cost(NamedTuple):
    """What a process took: seconds, processor seconds, peak memory in MB; and its exit code."""

    wall: float
    cpu: float
    peak: float
    code: int


def main() -> None:
    """Make the folder; then measure, kill and undo."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(sys.argv[2] if len(sys.argv) > 2 else temporary).resolve()
        make_folder(place / "in", n)
        print(f"{n} photographs, {BROKEN} broken files, {len(LITTER)} of litter, {os.cpu_count()} cores")
        whole = classify(place)
        kill_classify(place, whole)
        kill_sort(place, "move")
    write_rows()


def make_folder(folder: Path, n: int) -> None:
    """Write n photographs of different content, and what else lies in such a folder."""
    for inside in ("one", "two two"):
        (folder / inside).mkdir(parents=True)
    bodies = [jpeg(photo) for photo in zsc.load_dataset("samples").paths]
    for i in range(n):
        name = NAMES[i] if i < len(NAMES) else f"{('', 'one/', '', 'two two/')[i % 4]}IMG_{i:05}.jpg".encode()
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.write_bytes(bodies[i % len(bodies)] + i.to_bytes(4, "little"))  # decoders ignore what follows the end
        os.utime(path, ns=(10**18 + i, 10**18 + i))
    for i in range(BROKEN):
        (folder / f"broken {i}.jpg").write_bytes(b"\xff\xd8 no picture"[: 2 * i])
    for name in LITTER:
        (folder / name).write_bytes(b"x")
    (folder.parent / "elsewhere.jpg").write_bytes(bodies[0])
    (folder / "link.jpg").symlink_to("../elsewhere.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")


def jpeg(photo: Path) -> bytes:
    """Return a photograph as a JPEG file of 500 x 375."""
    zsc.open_image(photo).resize((500, 375), Image.Resampling.BICUBIC).save(buffer := io.BytesIO(), "JPEG", quality=90)
    return buffer.getvalue()


def tree(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return of every file its name, its bytes or where it leads, its time and its rights."""
    found: dict[bytes, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        about = path.lstat()
        body = path.readlink() if path.is_symlink() else path.is_file() and hashlib.sha256(path.read_bytes()).digest()
        time_of = None if body is False else about.st_mtime_ns  # those of folders change
        found[os.fsencode(path.relative_to(folder))] = body, time_of, about.st_mode
    return found


def start(place: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a command in a folder, without its output."""
    return subprocess.Popen([sys.executable, *words], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cost(place: Path, what: str, *words: str) -> Cost:
    """Run a command to its end, and print what it took."""
    begun, process = time.perf_counter(), start(place, *words)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    found = Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode)
    print(f"  {what:44} {seconds:7.1f} s, processor {found.cpu:7.1f} s, peak {found.peak:6.0f} MB", flush=True)
    return found


def question(*words: str, prompts: Sequence[str] = CLASSES) -> list[str]:
    """Word a command of zsc."""
    return ["-m", "zsc", *words, "--model", "conse", "--prompts", *prompts]


def classify(place: Path) -> float:
    """Measure the first answer beside embedding alone, and a second one beside the start-up; return the seconds."""
    alone = cost(place, "embed_images alone, nothing kept", "-c", ALONE, "in")

    def ask(what: str, *words: str, prompts: Sequence[str] = CLASSES) -> Cost:
        return cost(place, f"zsc classify, {what}", *question("classify", *words, prompts=prompts))

    first = ask("everything kept", "in", "--store", "kept", "--csv", "whole.csv")
    again = ask("other words", "in", "--store", "kept", "--csv", "other.csv", prompts=OTHERS)
    one = ask("one picture", "in/UPPER.JPG", "--store", "kept", prompts=OTHERS)
    part = ask("a quarter of them", "in/one", "--no-store")
    print(f"  {first.cpu / alone.cpu - 1:+.1%} processor time beside embed_images alone (at most 10 %)")
    print(f"  {again.cpu - one.cpu:+.1f} s of processor time for other words beside start-up (at most 5 s)")
    print(f"  {first.peak - part.peak:+.0f} MB beside a quarter of the pictures")
    assert (alone.code, first.code, again.code, one.code) == (0, 1, 1, 0)  # 1: broken pictures are told
    return first.wall


def kill(place: Path, words: Sequence[str], seconds: float, *, at_work: bool) -> None:
    """Kill five runs, each up to so many seconds after its start, or after it touched "out"; fewer if one ends."""
    rng, hit = np.random.default_rng(0), 0
    while hit < KILLS:
        there = len(list((place / "out").rglob("*")))
        process = start(place, *words)
        while at_work and process.poll() is None and len(list((place / "out").rglob("*"))) == there:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, seconds))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            break
        hit += 1
    print(f"  killed {hit} times")
    assert hit


def kill_classify(place: Path, seconds: float) -> None:
    """Kill it five times; the table must be that of a run that nobody disturbed."""
    words = question("classify", "in", "--store", "again", "--csv", "killed.csv")
    kill(place, words, 0.5 * seconds, at_work=False)
    cost(place, "zsc classify, after it was killed", *words)
    assert (place / "killed.csv").read_bytes() == (place / "whole.csv").read_bytes()
    print("  the same table, byte for byte")


def kill_sort(place: Path, how: str) -> None:
    """Kill it five times, and its undoing: folders must be those of an undisturbed run, and undone as before."""
    before, same = tree(place / "in"), place / "same"
    words = question("sort", "in", "--into", "out", "--how", how, "--share", ".1", "--store", str(place / "kept"))
    shutil.copytree(place / "in", same / "in", symlinks=True)
    shutil.copy2(place / "elsewhere.jpg", same)
    cost(same, f"zsc sort --how {how}", *words)
    kill(place, words, 0.05, at_work=True)  # 1,000 links or moves take a tenth of a second
    cost(place, f"zsc sort --how {how}, after it was killed", *words)
    for name in ("in", "out"):
        ours, theirs = ({k: v for k, v in tree(p / name).items() if k != PLAN.encode()} for p in (place, same))
        assert ours.keys() == theirs.keys()
        assert all(ours[k][::2] == theirs[k][::2] for k in ours), "other bytes, other links, or other rights"
    print("  the same folders")
    undo = ["-m", "zsc", "sort", "--into", "out", "--undo"]
    kill(place, undo, 0.02, at_work=True)
    if (place / "out").exists():
        cost(place, "zsc sort --undo, after it was killed", *undo)
    assert tree(place / "in") == before and not (place / "out").exists()
    print("  every name, byte, time, link and right as before")


def write_rows() -> None:
    """Time the table of 200,000 answers."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(len(CLASSES)), ROWS)
    images = [f"pictures/of mine/IMG_{i:06}.jpg" for i in range(ROWS)]
    answer = zsc.Evaluation([-1] * ROWS, proba, list(CLASSES), images)
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        write_answers(answer, Path(place) / "a.csv")
        print(f"  {ROWS:,} rows of CSV: {time.perf_counter() - begun:.1f} s (at most 10 s)")


if __name__ == "__main__":
    main()
