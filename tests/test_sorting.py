"""A folder of one's own: classified into a table, sorted into folders, and put back, whatever lies in it."""

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zsc
from zsc import cli
from zsc.drawings import draw
from zsc.sorting import PLAN
from zsc.spreadsheet import answer_table, write_answers

PROMPTS = {"a cat": ["a cat"], "a/dog": ["a dog"], "A CAT ": ["a wild animal"]}
NAMES = [
    "a b.jpg", "it's \"quoted\".jpg", "new\nline.jpg", "emoji 🐶.jpg", "=1+1.jpg", "UPPER.JPG", "@cmd.png", "-x.jpg",
    "tab\t.jpg", "é.jpg", "CON.jpg", "dup.jpg", "sub folder/dup.jpg", "b/DUP.JPG", "b/deep/dup.jpg", "100.png", "9.png",
]  # fmt: skip
LITTER = ("Thumbs.db", ".DS_Store", "desktop.ini", "._a b.jpg", "clip.mp4", "paper.pdf", "notes.txt")
posix = pytest.mark.skipif(os.name != "posix", reason="names and signals of POSIX")


def hostile(folder, n=30, broken=3):
    """Draw pictures under the names that people and systems give them, and what else lies in a folder."""
    for inside in ("sub folder", "b/deep"):
        (folder / inside).mkdir(parents=True)
    for i in range(n):
        path = folder / (NAMES[i] if i < len(NAMES) else f"{('', 'sub folder/', 'b/deep/')[i % 3]}p{i}.jpg")
        draw("animals", i).picture.save(path, format="PNG" if path.suffix == ".png" else "JPEG")
        os.utime(path, (1e9 + i, 1e9 + i))
    draw("animals", 999).picture.save(Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.jpg")), format="JPEG")
    for i in range(broken):
        (folder / f"broken{i}.jpg").write_bytes(b"\xff\xd8 no picture" if i else b"")
    for name in LITTER:
        (folder / name).write_bytes(b"x")
    return folder


def tree(folder):
    """Every file: its name, its content or where it leads, and when it was changed."""
    found = {}
    for path in sorted(folder.rglob("*"), key=os.fsencode):
        name = os.fsencode(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest(), int(path.stat().st_mtime)
    return found


@pytest.fixture
def folder(tmp_path):
    return hostile(tmp_path / "in")


@pytest.fixture(scope="module")
def toy():
    return zsc.load_model("toy", device="cpu")


def run_sort(folder, into, toy, **options):
    return zsc.sort_folder(folder, PROMPTS, into, model=toy, progress=False, **options)


@posix
class TestSort:
    @pytest.mark.parametrize("how", ["link", "copy", "move"])
    def test_every_picture_once_and_back(self, how, folder, toy, tmp_path):
        before, into = tree(folder), tmp_path / "out"
        table = run_sort(folder, into, toy, how=how)
        done = table[table["error"].isna()]
        assert len(done) == 31 and len(table) == 34 and done["target"].str.casefold().is_unique
        assert {path.name for path in into.iterdir()} >= {"a cat", "a_dog", "A CAT (2)", PLAN, "a_dog.html"}
        for row in done.itertuples():
            assert (into / row.target).read_bytes() and (into / row.target).is_symlink() == (how == "link")
            assert Path(row.source).exists() == (how != "move")
            assert not Path(row.target).is_absolute() and (into / row.target).parent.parent == into
        if how != "link":
            times = {int((into / target).stat().st_mtime) for target in done["target"]}
            assert times >= {10**9 + i for i in range(30)}
        if how == "move":
            assert set(tree(folder)) == {os.fsencode(n) for n in (*LITTER, "broken0.jpg", "broken1.jpg", "broken2.jpg")}
        page = (into / "a_dog.html").read_text(encoding="utf-8")
        assert page.count("data:image/jpeg") == (done["folder"] == "a_dog").sum() and "<script" not in page
        assert zsc.undo_sort(into, progress=False) == [] and tree(folder) == before and not into.exists()

    def test_classes_are_the_classifiers(self, folder, toy, tmp_path):
        table = run_sort(folder, tmp_path / "out", toy).set_index("source")
        clf = zsc.ZeroShotClassifier(PROMPTS, toy)
        answer = clf.predict([path for path in table.index if table["error"].isna()[path]])
        assert [PROMPTS_IN_ORDER[i] for i in answer["y_pred"]] == list(table["class"].dropna())

    def test_not_sure(self, folder, toy, tmp_path):
        sure = run_sort(folder, tmp_path / "none", toy, dry_run=True)
        some = run_sort(folder, tmp_path / "some", toy, share=0.25)
        assert not (tmp_path / "none").exists() and set(sure["folder"].dropna()) == {"a cat", "a_dog", "A CAT (2)"}
        unsure = some["folder"] == "not sure"
        assert unsure.sum() in (7, 8) and some["margin"][unsure].max() <= some["margin"][~unsure].dropna().min()
        cut = run_sort(folder, tmp_path / "cut", toy, margin=0.5)
        assert ((cut["folder"] == "not sure") == (cut["margin"] < 0.5)).all()

    def test_none_of_these(self, folder, toy, tmp_path):
        clf, into = zsc.ZeroShotClassifier(PROMPTS, toy), tmp_path / "out"
        plain = run_sort(folder, into, toy, dry_run=True)
        opened = plain["error"].isna()
        scores = clf.familiarity(list(plain["source"][opened]))["mcm"].to_numpy()
        limit = float(np.median(scores))
        table = run_sort(folder, into, toy, none_of_these=("mcm", limit))
        strange = scores < limit
        assert ((table["folder"][opened] == "none of these") == strange).all() and strange.sum() == 15
        assert (table["class"][opened][~strange] == plain["class"][opened][~strange]).all()
        assert len(list((into / "none of these").iterdir())) == 15 and (into / "none of these.html").is_file()
        assert run_sort(folder, into, toy, none_of_these=("mcm", limit)).equals(table)  # goes on
        with pytest.raises(ValueError, match="another sorting"):
            run_sort(folder, into, toy)
        before = tree(folder)
        assert zsc.undo_sort(into, progress=False) == [] and not into.exists() and tree(folder) == before

    def test_nothing_of_others_is_touched(self, folder, toy, tmp_path):
        into = tmp_path / "out"
        (into / "a_dog").mkdir(parents=True)
        (into / "a_dog/mine.txt").write_text("mine")
        (into / "A CAT.html").write_text("mine")
        before = tree(into)
        table = run_sort(folder, into, toy, how="copy")
        assert {"a_dog (2)", "a cat", "A CAT (2)"} >= set(table["folder"].dropna())
        assert before.items() <= tree(into).items()
        zsc.undo_sort(into, progress=False)
        assert tree(into) == before and (into / "a_dog").is_dir()

    def test_what_was_changed_since_stays(self, folder, toy, tmp_path):
        table = run_sort(folder, tmp_path / "out", toy, how="copy").dropna(subset="target")
        changed = tmp_path / "out" / table["target"].iloc[3]
        changed.write_bytes(b"edited")
        (stays,) = zsc.undo_sort(tmp_path / "out", progress=False)
        assert "not as it was left" in stays and changed.read_bytes() == b"edited"
        changed.unlink()
        assert zsc.undo_sort(tmp_path / "out", progress=False) == [] and not (tmp_path / "out").exists()

    def test_links_stay_links(self, folder, toy, tmp_path):
        """A picture that is a link is not moved: its way to what it leads to may be relative."""
        shutil.copy(folder / "a b.jpg", tmp_path / "elsewhere.jpg")
        (folder / "relative.jpg").symlink_to("../elsewhere.jpg")
        before = tree(folder)
        table = run_sort(folder, tmp_path / "out", toy, how="move").dropna(subset="target").set_index("source")
        target = tmp_path / "out" / table.loc[str(folder / "relative.jpg"), "target"]
        assert target.samefile(tmp_path / "elsewhere.jpg") and (folder / "relative.jpg").is_symlink()
        assert zsc.undo_sort(tmp_path / "out", progress=False) == []
        assert tree(folder) == before and not (tmp_path / "out").exists()

    @pytest.mark.parametrize("is_undo", [False, True])
    def test_stopped_between_the_halves_of_a_move_to_another_disk(self, is_undo, folder, toy, tmp_path, monkeypatch):
        before, moves, copy = tree(folder), [], zsc.sorting._copy

        def stopped(source, target):
            copy(source, target)
            moves.append(source)
            if len(moves) == 5:
                raise KeyboardInterrupt

        def other_disk(source, target):
            raise OSError("cross-device link")

        monkeypatch.setattr("pathlib.Path.rename", other_disk)
        if is_undo:
            run_sort(folder, tmp_path / "out", toy, how="move")
        monkeypatch.setattr("zsc.sorting._copy", stopped)
        with pytest.raises(KeyboardInterrupt):
            zsc.undo_sort(tmp_path / "out") if is_undo else run_sort(folder, tmp_path / "out", toy, how="move")
        assert zsc.undo_sort(tmp_path / "out", progress=False) == []
        assert tree(folder) == before and not (tmp_path / "out").exists()

    def test_a_page_of_somebody_else_stays(self, folder, toy, tmp_path):
        run_sort(folder, tmp_path / "out", toy)
        page = tmp_path / "out/a_dog.html"
        page.write_text("mine")
        with pytest.raises(FileExistsError, match="a_dog.html has come there meanwhile"):
            run_sort(folder, tmp_path / "out", toy)
        assert page.read_text() == "mine"
        zsc.undo_sort(tmp_path / "out", progress=False)
        assert tree(tmp_path / "out") == {b"a_dog.html": tree(tmp_path / "out")[b"a_dog.html"]}

    def test_a_file_that_comes_meanwhile(self, folder, toy, tmp_path, monkeypatch):
        table = run_sort(folder, tmp_path / "out", toy, dry_run=True).dropna(subset="target")
        there, put = tmp_path / "out" / table["target"].iloc[5], zsc.sorting._put

        def late(source, target, how):
            if target == there:
                there.parent.mkdir(exist_ok=True)
                there.write_text("other")
            put(source, target, how)

        monkeypatch.setattr("zsc.sorting._put", late)
        with pytest.raises(FileExistsError, match="has come there meanwhile"):
            run_sort(folder, tmp_path / "out", toy, how="move")
        monkeypatch.undo()
        assert there.read_text() == "other"
        there.rename(tmp_path / "other")
        run_sort(folder, tmp_path / "out", toy, how="move")
        assert there.exists() and not any((folder / n).exists() for n in NAMES)

    def test_what_is_refused(self, folder, toy, tmp_path):
        for into in (folder, folder / "out", tmp_path):
            with pytest.raises(ValueError, match="lies inside .* or around it"):
                run_sort(folder, into, toy)
        with pytest.raises(ValueError, match="how='steal'.*must be one of|how must be one of"):
            run_sort(folder, tmp_path / "out", toy, how="steal")
        with pytest.raises(ValueError, match="share=2"):
            run_sort(folder, tmp_path / "out", toy, share=2)
        with pytest.raises(ValueError, match="nothing was sorted into this folder"):
            zsc.undo_sort(tmp_path)
        run_sort(folder, tmp_path / "out", toy)
        with pytest.raises(ValueError, match="holds another sorting"):
            run_sort(folder, tmp_path / "out", toy, how="copy")

    @pytest.mark.slow
    @pytest.mark.parametrize(("how", "times"), [("copy", 1), ("move", 5)])
    def test_killed(self, how, times, tmp_path):
        """What a run that was killed left is gone on with, and ends as one that was not; undone it is as before."""
        folder = hostile(tmp_path / "in", 120, 10)
        whole = shutil.copytree(folder, tmp_path / "same/in")
        before, kills = tree(folder), 0
        rng = np.random.default_rng(0)
        command = [sys.executable, "-c", SLOWLY, "sort", "in", "--into", "out", "--how", how, "--share", ".1"]
        command += ["--model", "toy", "--no-store", "--prompts", "a cat", "a dog"]
        while kills < times:
            there = len(tree(tmp_path / "out"))
            process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and len(list((tmp_path / "out").rglob("*"))) == there:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 0.5))
            if process.poll() is not None:
                break
            process.kill()
            assert process.wait() == -signal.SIGKILL
            kills += 1
        assert kills == times
        for place in (tmp_path, tmp_path / "same"):
            assert subprocess.run(command, cwd=place, stdout=subprocess.DEVNULL, check=False).returncode == 1  # broken
        ours, theirs = tree(tmp_path / "out"), tree(tmp_path / "same/out")
        pages = {name for name in ours if name.endswith((b".html", PLAN.encode()))}
        assert {n: c for n, c in ours.items() if n not in pages} == {n: c for n, c in theirs.items() if n not in pages}
        assert ours.keys() == theirs.keys() and tree(folder) == tree(whole)
        subprocess.run([sys.executable, "-m", "zsc", "sort", "--into", "out", "--undo"], cwd=tmp_path, check=True)
        assert tree(folder) == before and not (tmp_path / "out").exists()


PROMPTS_IN_ORDER = list(PROMPTS)
SLOWLY = """
import sys, time
from zsc import cli, sorting
put = sorting._put
sorting._put = lambda *words: (time.sleep(0.02), put(*words))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture
def answer():
    images = ["=1+1.jpg", "a\nb.jpg", "https://a.b/c.jpg", "lost.jpg", os.fsdecode(b"bad\xff.jpg")]
    proba = [[0.9, 0.1], [0.3, 0.7], [0.5, 0.5], [np.nan, np.nan], [0.123456, 0.876544]]
    tokens = ["-a", "@b", "-a", "-a", "@b"]
    return zsc.Evaluation([-1] * 5, proba, ["+cat", 'dog; "x"'], images, tokens=tokens)


class TestTable:
    def test_csv_as_a_spreadsheet_reads_it(self, answer, tmp_path):
        for sep, decimal in ((",", "."), (";", ","), ("\t", ".")):
            path = write_answers(answer, tmp_path / "a.csv", sep, decimal, {3: "lost.jpg: gone"})
            raw = path.read_bytes()
            assert raw.startswith(b"\xef\xbb\xbf")
            rows = list(csv.DictReader(io.StringIO(raw[3:].decode(), newline=""), delimiter=sep))
            assert [row["path"] for row in rows][:3] == ["./=1+1.jpg", "a\nb.jpg", "https://a.b/c.jpg"]
            assert [row["class"] for row in rows] == ["'+cat", 'dog; "x"', "'+cat", "", 'dog; "x"']
            assert rows[0]["prompt"] == "'-a" and rows[3]["error"] == "lost.jpg: gone" and rows[3]["prompt"] == ""
            assert rows[4]["probability"] == f"0{decimal}8765" and rows[2]["margin"] == f"0{decimal}0000"
            assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())

    def test_parquet_holds_the_same(self, answer, tmp_path):
        found = pd.read_parquet(write_answers(answer, tmp_path / "a.parquet"))
        assert list(found["path"])[0] == "=1+1.jpg" and list(found["error"])[3] == "cannot be opened"
        pd.testing.assert_frame_equal(found.fillna(-1), answer_table(answer).fillna(-1), check_dtype=False)

    @pytest.mark.parametrize("form", [(";", ";"), ("x", "."), (",", ","), (",", "-")])
    def test_what_no_table_has(self, form, answer, tmp_path):
        with pytest.raises(ValueError, match="must be"):
            write_answers(answer, tmp_path / "a.csv", *form)
        with pytest.raises(ValueError, match=r"end it with \.csv or \.parquet"):
            write_answers(answer, tmp_path / "a.xlsx")
        assert not list(tmp_path.iterdir())


def question(folder, table):
    return ["classify", str(folder), "--model", "toy", "--csv", str(table), "--prompts", "a cat", "a dog"]


@posix
class TestClassify:
    def test_a_folder_to_a_table(self, folder, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        words = question(folder, tmp_path / "a.csv")
        assert cli.main(words) == 1
        told = capsys.readouterr().out
        assert "3 of 34 pictures cannot be opened" in told and str(tmp_path / "cache/zsc/embeddings") in told
        assert "broken0.jpg" in told and "notes.txt" in told
        rows = list(csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8-sig", newline="")))
        assert len(rows) == 34 and sum(row["error"] != "" for row in rows) == 3
        monkeypatch.setattr("zsc.models.base.Encoder.encode_pixels", None)  # a second question embeds nothing
        assert cli.main([*words[:-1], "a horse"]) == 1

    def test_none_of_these(self, folder, toy, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        own = tmp_path / "own"
        own.mkdir()
        for i, picture in enumerate(zsc.load_dataset("drawn-animals", n=40, seed=5).paths):
            zsc.open_image(picture).save(own / f"{i}.png")
        words = question(folder, tmp_path / "a.csv")
        known = zsc.ZeroShotClassifier(["a cat", "a dog"], toy).familiarity(sorted(own.iterdir()))["msp"]
        assert cli.main([*words, "--none-of-these", f"msp:{own}"]) == 1
        told = capsys.readouterr().out
        limit = np.sort(known)[2]  # two of 40 may stay below
        assert f"msp {limit:.6g}, which 95 % of 40 pictures" in told
        rows = list(csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8-sig", newline="")))
        for row in rows:
            is_strange = row["error"] == "" and float(row["probability"]) < round(limit, 4)
            assert (row["class"] == "none of these") == is_strange
        assert f"of 34 pictures are none of these: msp below {limit:.6g}" in told
        assert cli.main([*words, "--json", "--none-of-these", "cosine:2"]) == 1  # no cosine is as high
        results = json.loads(capsys.readouterr().out)["results"]
        assert [row["none_of_these"] for row in results] == [row["error"] is None for row in results]
        monkeypatch.setattr("zsc.models.base.Encoder.encode_pixels", None)  # nothing is embedded before it is refused
        words.insert(1, "--no-store")
        for wrong in ("mcm", "mcm:", "MCM:.3", "mcm:nan", ".3", ""):
            assert cli.main([*words, "--none-of-these", wrong]) == 1
            assert "must be SCORE:NUMBER or SCORE:FOLDER, where SCORE is one of msp" in capsys.readouterr().err
        assert cli.main([*words, "--none-of-these", "mcm:nowhere"]) == 1
        assert "nowhere: no such folder" in capsys.readouterr().err

    def test_nothing_is_kept_where_that_is_asked(self, folder, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        cli.main(["classify", str(folder), "--model", "toy", "--no-store", "--prompts", "a cat", "a dog"])
        assert not (tmp_path / "cache").exists() and "Kept" not in capsys.readouterr().out

    def test_what_a_folder_must_hold(self, tmp_path):
        with pytest.raises(ValueError, match="no pictures"):
            zsc.ImageDataset.from_pictures(tmp_path)
        with pytest.raises(FileNotFoundError, match="no such folder"):
            zsc.ImageDataset.from_pictures(tmp_path / "none")
