"""The command line as a person meets it: what is printed, what is data, which exit code."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from servers import FileServer

import zsc
from zsc import cli
from zsc.cli import _options, _printing
from zsc.cli.evaluate import _tables
from zsc.models import weights

PAIR = ("a photo of a cat", "a photo of a cup of coffee")


@pytest.fixture(autouse=True)
def loaded_once(conse, monkeypatch, tmp_path):
    """Give every command the conse that is loaded already, and no CLIP weights."""
    monkeypatch.setenv("ZSC_WEIGHTS", str(tmp_path / "none"))
    load = zsc.models.load_model
    monkeypatch.setattr(
        zsc.models, "load_model", lambda name, *a, **k: conse if name == "conse" else load(name, *a, **k)
    )
    monkeypatch.setattr("zsc.cli._options.load_model", zsc.models.load_model)


def run(capsys, *words):
    code = cli.main([str(w) for w in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def animals(tmp_path):
    """Six small pictures in AFHQ's layout: conse takes them for something; only the layout matters here."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "wild"):
        for i in range(2):
            path = tmp_path / f"data/afhq/val/{name}/flickr_{name}_{i:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return tmp_path / "data"


@pytest.mark.slow
def test_demo(capsys, tmp_path):
    code, out, _ = run(capsys, "demo", "--output", tmp_path / "demo.png")
    assert code == 0
    assert "Model     conse" in out and "not on this machine, and nothing is downloaded unasked" in out
    assert "Data set  samples, 17 photographs" in out
    rows = [line for line in out.splitlines() if line.endswith((" right", " wrong"))]
    assert len(rows) == 17 and any("chelsea.png" in r and "cat" in r and r.endswith("right") for r in rows)
    assert "95 % interval" in out and "'a photo of a {}'" in out and "'{}'" in out
    assert str(tmp_path / "demo.png") in out
    assert zsc.open_image(tmp_path / "demo.png").width > 1000
    right = sum(r.endswith("right") for r in rows)
    assert f"({right} of 17)" in out


@pytest.mark.slow
def test_demo_as_data(capsys, tmp_path):
    code, out, _ = run(capsys, "demo", "--json", "--output", tmp_path / "demo.png")
    content = json.loads(out)
    assert code == 0 and content["model"] == "conse"
    evaluation = content["evaluations"]["a photo of a {}"]
    assert evaluation["n"] == 17 and evaluation["interval"][0] < evaluation["accuracy"] < evaluation["interval"][1]


@pytest.mark.slow
def test_classify(capsys):
    photos = dict(zip(zsc.load_dataset("samples").class_names, zsc.load_dataset("samples").paths, strict=True))
    code, out, _ = run(capsys, "classify", photos["cat"], photos["cup of coffee"], "--prompts", *PAIR)
    assert code == 0 and "relative to these prompts" in out
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["chelsea.png", "coffee.png"]
    assert PAIR[0] in out.splitlines()[2] and PAIR[1] in out.splitlines()[3]
    code, out, _ = run(capsys, "classify", photos["cat"], "--prompts", *PAIR, "--json")
    content = json.loads(out)
    assert content["model"] == "conse" and content["results"][0]["y_pred"] == 0
    assert content["results"][0]["y_true"] is None and content["results"][0]["proba"] > 0.5


@pytest.mark.slow
def test_evaluate(capsys, animals, tmp_path):
    code, out, _ = run(capsys, "evaluate", "--dataset", "afhq", "--data-root", animals, "--model", "conse")
    assert code == 0
    assert "afhq val, 6 pictures" in out and "afhq-a: 3 for 3 classes, pooling mean" in out
    assert "of 6), 95 % interval" in out and "Confusion (rows: true, columns: predicted)" in out
    code, out, _ = run(
        capsys,
        "evaluate",
        "--dataset",
        "afhq",
        "--data-root",
        animals,
        "--prompt-set",
        "afhq-b",
        "--json",
        "--limit",
        4,
    )
    content = json.loads(out)
    assert content["pooling"] == "max" and content["n"] == 4 and content["model"] == "conse"
    assert content["prompts"]["wild"][1] == "a photo of a wolf" and len(content["report"]) == 3
    code, out, _ = run(capsys, "evaluate", "--dataset", "afhq", "--data-root", animals, "--limit", 2)
    assert "no pictures of dog, wild here: the accuracy says nothing of them" in out


@pytest.mark.slow
def test_evaluate_own_folder_and_prompts_file(capsys, animals, tmp_path):
    (tmp_path / "p.yaml").write_text("cat: a photo of a cat\ndog: a photo of a dog\nwild: [a photo of a lion, a fox]\n")
    words = ("evaluate", "--folder", animals / "afhq/val", "--prompts-file", tmp_path / "p.yaml", "--pooling", "max")
    code, out, _ = run(capsys, *words)
    assert code == 0 and "val, 6 pictures" in out and "p: 4 for 3 classes, pooling max" in out


def test_models(capsys, monkeypatch, tmp_path):
    code, out, _ = run(capsys, "models")
    assert code == 0 and "ViT-L/14@336px" in out and re.search(r"conse +\*", out) and "not measured here" in out
    code, out, _ = run(capsys, "models", "--json")
    rows = {row["model"]: row for row in json.loads(out)}
    assert rows["RN50"]["embed_dim"] == 1024 and rows["conse"]["weights"] == "installed"
    weights.weights_path("RN50").parent.mkdir()
    weights.weights_path("RN50").touch()
    rows = {row["model"]: row for row in json.loads(run(capsys, "models", "--json")[1])}
    assert rows["RN50"]["weights"] == "on this machine"


LONG = "a very long name of a class, of which nothing may be left out on any line at all, not even its very end"


def long_named(k):
    """A result of K classes with names of 120 letters, and pictures in a deep folder; most answers are right."""
    rng = np.random.default_rng(k)
    y_true = np.arange(2 * k) % k
    y_pred = np.where(rng.random(2 * k) < 0.6, y_true, rng.integers(0, k, 2 * k))
    y_pred[:2] = 1, 0
    names = [f"{LONG} {i:0>{119 - len(LONG)}}" for i in range(k)]
    images = [f"/a/very/deep/folder/of/pictures/picture-{i:04}.png" for i in range(2 * k)]
    return zsc.evaluation.evaluate(y_true, 0.1 / k + 0.9 * np.eye(k)[y_pred], names, images=images)


class TestWidth:
    @pytest.mark.parametrize("columns", [40, 80, None])
    @pytest.mark.parametrize("k", [2, 17, 30, 200])
    def test_many_and_long(self, k, columns, monkeypatch, capsys):
        """T1: a terminal can be read at any width and a pipe gets all; files are named without their folders."""
        monkeypatch.setenv("COLUMNS", str(columns or ""))
        evaluation = long_named(k)
        _printing.say(*_tables(evaluation))
        out = capsys.readouterr().out
        assert "/deep/" not in out and "picture-00" in out and "Most frequent confusions" in out
        pair = "  ".join(evaluation.errors[["true", "predicted"]].iloc[0])
        if columns is None:
            assert pair in out and "Not shown" not in out and "f1" in out and "margin" in out
            assert all(out.count(name) >= 1 for name in evaluation.class_names)
            return
        assert max(map(len, out.splitlines())) <= columns and len(out.splitlines()) < 600
        assert re.search(r"class +n +(right +)?recall +low +high", out)
        gone = "right, precision, f1" if columns == 40 else "f1"
        assert (f"Not shown here: {gone}" in out) == (columns == 40)
        assert ("180 rows" in out) == (k == 200)

    def test_a_confusion_that_fits_is_a_table_and_another_one_a_list(self, monkeypatch):
        counts = np.arange(17)
        proba = np.eye(17)[(counts + (counts < 2)) % 17]
        evaluation = zsc.evaluation.evaluate(counts, proba, [f"c{i}" for i in counts])
        monkeypatch.setenv("COLUMNS", "100")
        assert "Confusion (rows: true, columns: predicted)" in _tables(evaluation)
        monkeypatch.setenv("COLUMNS", "60")
        lines = _tables(evaluation)
        assert lines[lines.index("Most frequent confusions") + 2].split() == ["c0", "c1", "1"]

    @pytest.mark.parametrize(
        "names", [("true", "false"), ("image", "text"), ("index", "class"), ("caf\udce9", "\udcea")]
    )
    def test_classes_of_any_name(self, names, capsys):
        """A column of counts that is named as its rows are, or as pictures are; names that are no UTF-8."""
        evaluation = zsc.evaluation.evaluate([0, 0, 1], np.eye(2)[[1, 1, 1]], names, images=["/x/a.png", "b", "c"])
        _printing.say(*_tables(evaluation))
        head, first, second = (
            line.split() for line in capsys.readouterr().out.partition("predicted)\n")[2].split("\n")[:3]
        )
        names = list(map(zsc.files.printable, names))
        assert head == ["true", *names] and first == [names[0], "0", "2"] and second == [names[1], "0", "1"]

    def test_a_matrix_whose_counts_do_not_fit_becomes_a_list(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "40")
        y = np.repeat(np.arange(10), 980)
        _printing.say(*_tables(zsc.evaluation.evaluate(y, np.eye(10)[(y + 1) % 10], [*map(str, range(10))])))
        assert "Most frequent confusions" in (out := capsys.readouterr().out) and "Confusion (rows" not in out

    @pytest.mark.parametrize("dtype", ["object", "string", "category"])
    def test_names_of_pictures_lose_their_folders_where_that_tells_them_apart(self, dtype):
        names = pd.Series(["d/a.png", "d/b.png", "e/b.png"], dtype=dtype)
        assert list(_printing.with_names(pd.DataFrame({"image": names}), short=True)["image"]) == ["a.png", *names[1:]]

    @pytest.mark.parametrize("columns", range(40, 101, 7))
    def test_words_are_not_broken(self, columns, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(columns))
        line = _printing.labelled("Tested", "against 'a': exact, drawn-animals; intervals of 95 % " * 3 + "x" * 120)
        parts = _printing.wrapped(line)
        assert " ".join(part.strip() for part in parts) == line and not any(p.strip().startswith("%") for p in parts)
        assert all(len(part) <= columns for part in parts[:-1]) and all(part.startswith(" " * 13) for part in parts[1:])

    def test_numbers_have_three_decimals(self):
        """T2: also in a column of mixed kinds, and NaN is "-"; columns of words begin on the left."""
        mixed = pd.DataFrame(
            {"p": np.array([0.31, 1.0, np.nan, None], object), "n": [1, 20, 3, 4]}, pd.Index([*"abcd"], name="k")
        )
        lines = ["k      p   n", "a  0.310   1", "b  1.000  20", "c      -   3", "d      -   4"]
        assert _printing.table_lines(mixed) == lines
        lines = _printing.table_lines(pd.DataFrame({"index": [7], "name": ["x"], "share": [0.5]}))
        assert lines == ["name  share", "x     0.500"]


def test_datasets(capsys, animals):
    code, out, _ = run(capsys, "datasets", "--data-root", animals)
    lines = {line[:17].strip(): line for line in out.splitlines()}
    sizes = ("320px", "160px", "full")
    published = ["glasses", "afhq 1", "afhq 2", *(f"imagenette {size}" for size in sizes)]
    assert list(lines) == ["samples", *published, "drawn-glasses", "drawn-animals"]
    assert {line.split()[0] for line in lines} == set(zsc.datasets.dataset_names()), "all that --dataset takes"
    assert "1000 pictures, 2 classes, split test, drawn on the spot" in lines["drawn-glasses"]
    assert code == 0 and "6 pictures, 3 classes" in lines["afhq 1"] and "17 pictures" in lines["samples"]
    assert (
        "https://www.kaggle.com/datasets" in lines["glasses"] and "zsc download imagenette" in lines["imagenette 320px"]
    )
    rows = {r["dataset"]: r for r in json.loads(run(capsys, "datasets", "--data-root", animals, "--json")[1])}
    assert rows["afhq 1"]["pictures"] == 6 and rows["glasses"]["pictures"] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["classify", "gone.png", "--prompts", "a", "b"], "gone.png: no such file"),
        (["classify", "gone.png"], "no prompts given"),
        (["classify", "x.png", "--prompts", "a"], "class_names holds 1; pass two or more"),
        (["evaluate", "--dataset", "cifar"], "no data set 'cifar'"),
        (["evaluate", "--dataset", "afhq", "--data-root", "nowhere"], "no images under nowhere/afhq/val; expected"),
        (["evaluate", "--dataset", "samples", "--model", "RN51"], "no model 'RN51'"),
        (["evaluate", "--dataset", "samples", "--prompt-set", "x"], "no prompt set 'x'"),
        (["evaluate", "--folder", ".", "--split", "x"], "--folder takes no --split"),
        (["demo", "--output", "noext"], "noext: no name for a picture"),
        (["evaluate", "--dataset", "samples", "--prompts-file", "no.yaml"], "no.yaml: no such prompts file"),
        (["compare", "--dataset", "samples", "--templates", "{}", "a {}", "--reference", "b"], "reference='b'"),
        (["evaluate", "--dataset", "samples", "--prompt-set", "afhq-a"], "the data set's classes"),
        (
            ["embed", "--dataset", "drawn-glasses", "--limit", "2", "--cluster"],
            "in memory, where no cluster",
        ),
        (["search", "--dataset", "samples", "--picture", "gone.png"], "gone.png: no such file"),
        (["store", "clear", "--store", "nowhere"], "nowhere: no kept embeddings"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_code_1(capsys, words, reason):
    code, out, err = run(capsys, *words)
    assert code == 1 and out == "" and reason in err
    assert err.startswith("zsc: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["evaluate"],
        ["evaluate", "--dataset", "a", "--pooling", "x"],
        ["evaluate", "--dataset", "samples", "--limit", "0"],
        ["evaluate", "--dataset", "samples", "--limit", "-3"],
        ["classify", "x.png", "--prompts", "a", "b", "--prompt-set", "afhq-a"],
        ["compare", "--dataset", "samples", "--seed", "-1"],
        ["search", "--dataset", "samples", "-k", "2.5", "a cat"],
        ["classify", "x.png", "--prompts", "a", "b", "--on-error", "record"],
    ],
)
def test_bad_usage_is_exit_code_2(capsys, words):
    with pytest.raises(SystemExit) as caught:
        run(capsys, *words)
    assert caught.value.code == 2 and "usage: zsc" in capsys.readouterr().err


def test_what_a_command_does_not_know_stands_beside_its_own_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["store", "info", "a-folder"])
    err = capsys.readouterr().err
    assert caught.value.code == 2 and "--store FOLDER" in err and "zsc store: error" in err and "a-folder" in err


@pytest.mark.parametrize(
    "command", ["demo", "classify", "evaluate", "models", "datasets", "download", "embed", "store"]
)
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as caught:
        run(capsys, command, "--help")
    out = capsys.readouterr().out
    assert caught.value.code == 0 and "--json" in out


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        run(capsys, "--version")
    assert caught.value.code == 0 and capsys.readouterr().out == f"zsc {zsc.__version__}\n"


def test_embed_and_store(capsys, animals, tmp_path, monkeypatch):
    monkeypatch.setattr("zsc.store.SETTLED_NS", 0)  # the pictures are only just written
    words = ("embed", "--dataset", "afhq", "--data-root", animals, "--model", "conse", "--store", tmp_path / "kept")
    code, out, _ = run(capsys, *words)
    assert code == 0 and "afhq val: 6 pictures by conse in" in out
    code, out, _ = run(capsys, "store", "info", "--store", tmp_path / "kept", "--json")
    row = json.loads(out)[0]
    assert row["embeddings"] == 6 and row["model"] == "conse" and row["bytes"] > 6 * 384 * 4
    assert run(capsys, "store", "verify", "--store", tmp_path / "kept")[1].endswith("sound\n")
    monkeypatch.setattr("zsc.embeddings.read_source", None)  # no picture is opened any more
    evaluate = (
        "evaluate",
        "--dataset",
        "afhq",
        "--data-root",
        animals,
        "--model",
        "conse",
        "--store",
        tmp_path / "kept",
    )
    assert run(capsys, *evaluate)[0] == 0
    monkeypatch.undo()
    part = next((tmp_path / "kept" / row["fingerprint"]).glob("part-*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1  # in a vector
    part.write_bytes(bytes(data))
    monkeypatch.setenv("ZSC_WEIGHTS", str(tmp_path / "none"))
    code, out, _ = run(capsys, "store", "verify", "--store", tmp_path / "kept")
    assert code == 1 and "problem: " in out
    code, out, _ = run(capsys, "store", "clear", "--yes", "--store", tmp_path / "kept")
    assert code == 0 and "removed" in out and not list((tmp_path / "kept").iterdir())
    code, _, err = run(capsys, "store", "info", "--store", tmp_path / "kept")
    assert code == 1 and "no kept embeddings; 'zsc embed' makes some" in err


def test_embed_records_failures(capsys, animals, tmp_path):
    (animals / "afhq/val/cat/flickr_cat_000000.jpg").write_bytes(b"no picture")
    words = ("embed", "--dataset", "afhq", "--data-root", animals, "--store", tmp_path / "kept", "--model", "conse")
    code, _, err = run(capsys, *words)
    assert code == 1 and "flickr_cat_000000.jpg: not a picture" in err
    code, out, _ = run(capsys, *words, "--on-error", "record", "--json")
    content = json.loads(out)
    assert code == 0 and content["pictures"] == 6 and len(content["failures"]) == 1


def test_embed_on_a_cluster(capsys, animals, tmp_path, monkeypatch):
    """What reaches the cluster: every option; tests/test_cluster.py runs one."""
    asked = {}

    def stand_in(dataset, *, model, **options):
        asked.update(options, dataset=dataset, model=model.args, engine=model.keywords["engine"])
        failures = zsc.embeddings.failure_table([(1, "b.jpg", "b.jpg: no such file")])
        return zsc.load_model("toy"), failures, tmp_path / "manifest-1.parquet"

    monkeypatch.setattr("zsc.cluster.run_on_cluster", stand_in)
    words = ("embed", "--dataset", "afhq", "--root", animals, "--model", "conse", "--store", tmp_path / "kept")
    more = ("--workers", 3, "--actors", 4, "--gpus", 0.5, "--engine", "openvino", "--batch-size", 8, "--limit", 5)
    code, out, _ = run(capsys, *words, "--cluster", "ray://head:10001", *more, "--on-error", "skip")
    assert code == 0 and "5 pictures by toy on Ray, 1 failed" in out and "b.jpg: no such file" in out
    assert f"listed in {tmp_path / 'manifest-1.parquet'}" in out and len(asked.pop("dataset")) == 5
    assert asked == {
        "model": ("conse",), "engine": "openvino", "output": tmp_path / "kept", "address": "ray://head:10001",
        "workers": 3, "actors": 4, "gpus_per_actor": 0.5, "batch_size": 8, "on_error": "skip", "progress": True,
    }  # fmt: skip
    _, out, _ = run(capsys, *words, "--cluster", "--json")
    assert json.loads(out)["manifest"] == str(tmp_path / "manifest-1.parquet") and asked["progress"] is False
    assert asked["address"] is None and asked["actors"] == 2 and asked["workers"] is None
    assert asked["on_error"] == "raise" and asked["engine"] == "torch"
    code, _, err = run(capsys, *words, "--gpus", 1)
    assert code == 1 and "--actors and --gpus are for a cluster" in err


@pytest.mark.slow
def test_evaluate_writes_what_is_asked_for(capsys, animals, tmp_path):
    words = ("evaluate", "--dataset", "afhq", "--root", animals, "--model", "conse")
    files = [tmp_path / name for name in ("e.json", "c.png", "r.html")]
    code, out, _ = run(capsys, *words, "--save", files[0], "--figure", files[1], "--html", files[2])
    assert code == 0 and all(str(f) in out for f in files)
    evaluation = zsc.Evaluation.load(files[0])
    assert evaluation.n == 6 and evaluation.made_by.model == "conse" and evaluation.made_by.weights_sha256
    assert evaluation.made_by.versions["zsc"] == zsc.__version__ and evaluation.made_by.hardware["cores"]
    assert f"accuracy      {evaluation.accuracy:.3f}".lower() in out.lower()
    assert zsc.open_image(files[1]).width > 300 and "conse" in files[2].read_text(encoding="utf-8")
    code, _, err = run(capsys, *words, "--figure", tmp_path / "c.xyz")
    assert code == 1 and "c.xyz" in err


@pytest.mark.slow
class TestCompare:
    words = ("--dataset", "afhq", "--model", "conse")

    def test_the_table_and_the_figure(self, capsys, animals, tmp_path):
        picture = tmp_path / "ranking.png"
        words = ("compare", *self.words, "--root", animals, "--prompt-sets", "afhq-a", "afhq-b", "--templates", "{}")
        code, out, _ = run(capsys, *words, "--choose", "--figure", picture)
        assert code == 0 and "against 'afhq-a': exact McNemar, adjusted by Holm" in out
        assert "'afhq-b': 6 images cannot tell it from 'afhq-a'" in out
        assert not re.search(r"(?<![\d.])\d\.\d{1,2}(?!\d)", out.partition("candidate")[2].partition("'afhq-b'")[0])
        assert "Choice    chosen on one part" in out
        assert zsc.open_image(picture).width > 300
        code, out, _ = run(capsys, *words, "--json", "--reference", "{}")
        content = json.loads(out)
        assert code == 0 and content["reference"] == "{}" and len(content["comparison"]) == 3
        assert content["comparison"][0]["p_value"] is not None and content["comparison"][2]["p_value"] is None

    def test_from_a_file(self, capsys, animals, tmp_path):
        path = tmp_path / "candidates.yaml"
        path.write_text(
            "bare: {cat: cat, dog: dog, wild: wild}\nlong: {cat: a cat, dog: a dog, wild: [a lion, a fox]}\n"
        )
        words = ("compare", *self.words, "--root", animals, "--prompts-file", path)
        code, out, _ = run(capsys, *words, "--pooling", "chils")
        assert code == 0 and "against 'bare'" in out and "To choose one and report it, add --choose" in out
        code, _, err = run(capsys, *words, "--reference", "short")
        assert code == 1 and "reference='short'" in err and "bare, long" in err

    def test_descriptions_on_trial(self, capsys, animals, tmp_path):
        path = tmp_path / "cupl.json"
        path.write_text(json.dumps({"Cat": ["a long tail"], "dog": ["a wet nose"], "wild": ["a big mane"], "eel": []}))
        words = ("compare", *self.words, "--root", animals, "--descriptions", path, "--draws", 3)
        code, out, _ = run(capsys, *words)
        assert code == 0 and "against 'a photo of a {}'" in out
        assert re.search(r"'cupl' does not beat random words of equal number and length, p = \S+ \(\S+; 3 draws", out)
        code, out, _ = run(capsys, *words, "--json")
        told = json.loads(out)["random_words"]
        assert code == 0 and len(told["accuracy"]) == 3 and told["p_value"] >= 0.25
        own = tmp_path / "own.json"
        own.write_text(json.dumps({"cupl": {"cat": "a", "dog": "b", "wild": "c"}}))
        code, _, err = run(capsys, *words, "--prompts-file", own)
        assert code == 1 and err.count("\n") == 1 and "cupl.json: 'cupl' is also given otherwise; rename it" in err

    def test_one_candidate_is_none(self, capsys, animals):
        code, _, err = run(capsys, "compare", *self.words, "--root", animals, "--templates", "{}")
        assert code == 1 and "1 candidate given; name two or more" in err


@pytest.mark.slow
def test_search(capsys):
    code, out, _ = run(capsys, "search", "--dataset", "samples", "--model", "conse", "-k", 2, "a photo of a cat")
    assert code == 0 and "cat" in out.splitlines()[2] and len(out.splitlines()) == 4
    picture = zsc.load_dataset("samples").paths[1]
    code, out, _ = run(capsys, "search", "--dataset", "samples", "--model", "conse", "--picture", picture, "--json")
    assert code == 0 and json.loads(out)["results"][0]["index"] == 1


def shell(command, **environment):
    """Type a command into a shell; `zsc` is this interpreter's."""
    command = command.replace("zsc ", f"{sys.executable} -m zsc ", 1)
    environment = {k: v for k, v in (os.environ | environment).items() if v is not None}
    return subprocess.run(
        command, shell=True, executable="/bin/bash", capture_output=True, env=environment, check=False
    )


@pytest.fixture
def no_model(monkeypatch):
    """Fail where a model is loaded."""

    def refuse(name, *_, **__):
        raise AssertionError(f"{name} was loaded before the rest was looked at")

    monkeypatch.setattr(zsc.models, "load_model", refuse)
    monkeypatch.setattr("zsc.cli._options.load_model", refuse)


@pytest.fixture
def toys(tmp_path):
    """Drawn cats and dogs as files in a folder for each class, and a file that is no picture among the cats."""
    dataset = zsc.load_dataset("drawn-animals", n=30)
    for i, (picture, label) in enumerate(dataset):
        if label < 2:
            path = tmp_path / "toys" / ("cat", "dog")[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return tmp_path / "toys"


def broken(folder):
    path = folder / "cat/broken.png"
    path.write_bytes(b"no picture at all")
    return path


@pytest.mark.slow
class TestStreams:
    @pytest.mark.parametrize(
        ("command", "code"),
        [
            ("zsc models >&-", 0),
            ("zsc models <&- >&- 2>&-", 0),
            ("zsc classify gone.png --prompts a b 2>&-", 1),
            ("zsc classify gone.png --prompts a b 2>/dev/full", 1),
            ("zsc models --json <&-", 0),
            ("zsc models >/dev/full", 1),
            ("zsc --help >/dev/full", 1),
        ],
    )
    def test_closed_or_full(self, command, code):
        done = shell(command)
        assert done.returncode == code and b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
        is_told = command.endswith(" >/dev/full")
        assert done.stderr.count(b"\n") <= 1 and (b"cannot be written" in done.stderr) == is_told

    def test_a_reader_that_leaves_early_is_no_error(self):
        done = shell("zsc datasets --json | head -1; exit ${PIPESTATUS[0]}")
        assert done.returncode == 0 and done.stdout == b"[\n" and done.stderr == b""

    def test_a_terminal_without_the_letters(self):
        done = shell("zsc classify gone-ü.png --prompts 'ein Hündchen' b", PYTHONIOENCODING="ascii")
        assert done.returncode == 1 and rb"gone-\xfc.png: no such file" in done.stderr

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16", "utf-8-sig", "shift_jis", "utf-8"])
    def test_json_on_every_encoding(self, encoding, monkeypatch, tmp_path):
        content = {
            "é": "thé \u4e2d 😀",
            "odd": "\udce9.png",
            "esc": "\x1b[31m\x9b\u202e",
            "none": [float("nan"), np.nan],
        }
        path = tmp_path / "out"
        with path.open("w", encoding=encoding, errors="backslashreplace") as stream:
            _printing.print_json(stream, content | {"n": np.int64(3), "infinite": np.float32("inf")})
        text = path.read_text(encoding=encoding)
        assert json.loads(text) == content | {"none": [None, None], "n": 3, "infinite": None}
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)

    def test_json_of_a_command_is_alone_on_standard_output(self):
        done = shell("zsc evaluate --dataset drawn-animals --limit 1 --model toy --json", PYTHONIOENCODING="cp1252")
        content = json.loads(done.stdout.decode("cp1252"))
        assert done.returncode == 0 and content["n"] == 1 and content["notes"]["licence"] and content["advice"] == []

    @pytest.mark.parametrize("columns", ["0", "1", "abc", "-3", "99999999999"])
    def test_any_width(self, columns, monkeypatch, capsys):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit) as caught:
            run(capsys, "evaluate", "--help")
        assert caught.value.code == 0 and "--on-error" in capsys.readouterr().out


class TestOutsideTexts:
    def test_names_of_classes_and_files(self, toys, capsys):
        (toys / "cat").rename(toys / "\x1b[31mcat\x1b]0;owned\a")
        (toys / "dog").rename(toys / "dog\nAccuracy      1.000")
        code, out, _ = run(capsys, "evaluate", "--folder", toys, "--model", "toy")
        assert code == 0 and "\x1b" not in out and "\a" not in out
        assert "[31mcat" in out and [line for line in out.split("\n") if line.startswith("Accuracy")][1:] == []

    def test_an_argument_is_a_line(self, capsys):
        _printing.say("a\x1b[31m\nb", "c")
        _printing.say(*_printing.table_lines(pd.DataFrame({"k": ["k\u202e"], "x\x9b": ["y\nz"]})))
        lines = capsys.readouterr().out.split("\n")
        assert lines[:2] == [r"a\x1b[31m\nb", "c"] and len(lines) == 5
        assert r"x\x9b" in lines[2] and r"k\u202e" in lines[3] and r"y\nz" in lines[3]

    @pytest.mark.parametrize("name", ["no\x1b[31m.png", "no\n.png", "no\u202e.png", "no\x9b2J.png"])
    def test_errors(self, name, capsys):
        code, _, err = run(capsys, "classify", name, "--prompts", "a", "b")
        assert code == 1 and err.count("\n") == 1 and name not in err and "no such file" in err
        with pytest.raises(SystemExit):
            run(capsys, "models", name)
        assert name not in capsys.readouterr().err

    def test_warnings_and_notes(self, capsys, monkeypatch):
        def noisy(_arguments):
            import logging
            import warnings

            warnings.warn("a \x1b[31mred part", UserWarning, stacklevel=1)
            for _ in range(2):
                logging.getLogger("zsc").warning("waiting for %s", "a\nlock")

        first = zsc.models.model_table(everything=True).head(1)
        monkeypatch.setattr("zsc.cli.models.model_table", lambda **_: noisy(None) or first)
        _, out, err = run(capsys, "models", "--json")
        assert [row["model"] for row in json.loads(out)] == list(first["model"])
        assert err == "zsc: note: a \\x1b[31mred part\nzsc: note: waiting for a\\nlock\n"


class TestBeforeTheWork:
    @pytest.mark.parametrize("option", ["--save e.json", "--figure c.png", "--html r.html", "--store kept"])
    @pytest.mark.parametrize("place", ["gone", "file", "/proc"])
    def test_outputs(self, option, place, toys, capsys, no_model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("file").touch()
        flag, name = option.split()
        if flag == "--store" and place == "gone":
            pytest.skip("a store's folder is made")
        code, out, err = run(capsys, "evaluate", "--folder", toys, flag, f"{place}/{name}")
        assert code == 1 and out == "" and f"{place}/{name}" in err and err.count("\n") == 1
        assert set(os.listdir(tmp_path)) == {"file", "toys"}, "nothing is left of the look"

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["--save", "toys"], "this is a folder"),
            (["--figure", "f.xyz"], "f.xyz"),
            (["--save", "one.html", "--html", "./one.html"], "is also what --save names"),
            (["--prompts-file", "p.yaml", "--save", "p.yaml"], "is also a file that is read"),
            (["--save", f"{'x' * 300}.json"], "cannot be written to"),
        ],
    )
    def test_names(self, words, reason, toys, capsys, no_model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("p.yaml").write_text("cat: a cat\ndog: a dog\n")
        code, _, err = run(capsys, "evaluate", "--folder", "toys", *words)
        assert code == 1 and reason in err and "cat: a cat" in Path("p.yaml").read_text()

    @pytest.mark.parametrize("command", ["demo --output", "compare --dataset samples --templates {} a{} --figure"])
    def test_other_commands(self, command, capsys, no_model):
        code, _, err = run(capsys, *command.split(), "gone/x.png")
        assert code == 1 and "there is no folder gone" in err

    def test_special_files_are_fine(self, toys, capsys):
        code, out, _ = run(capsys, "evaluate", "--folder", toys, "--model", "toy", "--save", "/dev/null")
        assert code == 0 and "/dev/null" in out

    def test_what_fails_at_the_end_costs_nothing_else(self, toys, capsys, tmp_path, monkeypatch):
        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("zsc.plots.save", fail)
        words = ("--figure", tmp_path / "f.png", "--html", tmp_path / "r.html", "--save", tmp_path / "e.json")
        code, out, err = run(capsys, "evaluate", "--folder", toys, "--model", "toy", *words)
        assert code == 1 and "Accuracy" in out and "No space left" in err
        assert (tmp_path / "e.json").exists() and (tmp_path / "r.html").exists()

    def test_prompts_of_other_classes(self, toys, capsys, no_model, tmp_path):
        (tmp_path / "p.yaml").write_text("horse: a horse\ncow: a cow\nsheep: a sheep\n")
        for command in ("evaluate", "compare"):
            words = ("--templates", "{}") if command == "compare" else ()
            path = tmp_path / f"{command}.yaml"
            path.write_text("p: {horse: h, cow: c, sheep: s}\n" if words else (tmp_path / "p.yaml").read_text())
            code, _, err = run(capsys, command, "--folder", toys, "--prompts-file", path, *words)
            assert code == 1 and "classes" in err

    def test_a_folder_with_loose_pictures(self, toys, capsys, no_model):
        shutil.copy(next((toys / "cat").iterdir()), toys / "loose.png")
        for words in (["evaluate"], ["search", "a cat"], ["embed"], ["compare", "--templates", "{}", "a {}"]):
            code, _, err = run(capsys, *words, "--folder", toys)
            assert code == 1 and "loose.png" in err and err.count("\n") == 1

    @pytest.mark.parametrize("words", [["{}/empty"], ["gone.png", "lost.png"], ["gone/*.png"]])
    def test_no_picture_at_all(self, words, toys, capsys, no_model):
        (toys / "empty").mkdir()
        words = [word.format(toys) for word in words]
        code, out, err = run(capsys, "classify", *words, "--prompts", "a cat", "a dog")
        assert code == 1 and out == "" and words[0] in err and err.count("\n") == 1
        assert "no " in err

    def test_pictures_after_the_prompts(self, toys, capsys, no_model):
        first, second, *_ = sorted((toys / "cat").iterdir())
        code, _, err = run(capsys, "classify", first, "--prompts", "a cat", "a dog", second)
        assert code == 1 and "name the pictures before --prompts" in err


@pytest.mark.slow
class TestPicturesThatFail:
    prompts = ("--prompts", "a drawing of a cat", "a drawing of a dog", "--model", "toy")

    def test_each_gets_a_line(self, toys, capsys):
        good, other = (next((toys / name).iterdir()) for name in ("cat", "dog"))
        words = ("classify", good, broken(toys), "gone.png", other, *self.prompts)
        code, out, _ = run(capsys, *words)
        lines = out.splitlines()[2:]
        assert code == 1 and "2 of 4 pictures cannot be opened" in out
        assert "a drawing of a cat" in lines[0] and "a drawing of a dog" in lines[3]
        assert [line.split()[1:] for line in lines[1:3]] == [["-", "-"]] * 2
        assert f" {broken(toys)}: not a picture" in out and "gone.png: no such file" in out
        code, out, _ = run(capsys, *words, "--json")
        results = json.loads(out)["results"]
        assert code == 1 and [bool(row["error"]) for row in results] == [False, True, True, False]
        assert results[1]["proba"] is None and results[0]["proba"] > 0.5

    def test_a_pipe_gets_every_reason_and_a_terminal_three(self, toys, capsys, monkeypatch):
        words = ("classify", next((toys / "cat").iterdir()), *(f"gone-{k}.png" for k in range(5)), *self.prompts)
        monkeypatch.delenv("COLUMNS", raising=False)
        assert run(capsys, *words)[1].count("no such file") == 5
        monkeypatch.setenv("COLUMNS", "100")
        shown = run(capsys, *words)[1]
        assert shown.count("no such file") == 3 and "the first 3 (a pipe gets all)" in " ".join(shown.split())

    def test_classify_as_asked(self, toys, capsys):
        good = next((toys / "cat").iterdir())
        code, out, err = run(capsys, "classify", good, broken(toys), *self.prompts, "--on-error", "raise")
        assert code == 1 and out == "" and "broken.png: not a picture" in err
        code, out, _ = run(capsys, "classify", good, broken(toys), *self.prompts, "--on-error", "skip")
        assert code == 0 and "1 of 2 pictures cannot be opened and are not in these numbers" in out
        code, _, err = run(capsys, "classify", broken(toys), broken(toys), *self.prompts, "--on-error", "skip")
        assert code == 1 and "none of the 2 pictures can be opened" in err

    @pytest.mark.parametrize(
        "words", [["evaluate"], ["search", "a cat"], ["compare", "--templates", "{}", "a {}"], ["embed"]]
    )
    def test_commands_on_data_sets(self, words, toys, capsys, tmp_path):
        n = len(list(toys.rglob("*.png")))
        broken(toys)
        words = [*words, "--folder", toys, "--model", "toy", "--store", tmp_path / "kept"]
        code, _, err = run(capsys, *words)
        assert code == 1 and "broken.png: not a picture" in err
        code, out, _ = run(capsys, *words, "--on-error", "skip")
        assert code == 0 and f"1 of {n + 1} pictures cannot be opened" in out and "broken.png" in out
        code, out, _ = run(capsys, *words, "--on-error", "skip", "--json")
        content = json.loads(out)
        failures = content["failures"]
        assert code == 0 and len(failures) == 1 and "broken.png" in failures[0]["image"]
        if words[0] == "evaluate":
            assert content["n"] == n and content["left_out"] == 1

    def test_not_one_that_opens(self, toys, capsys):
        for path in toys.rglob("*.png"):
            path.write_bytes(b"nothing")
        code, _, err = run(capsys, "evaluate", "--folder", toys, "--model", "toy", "--on-error", "skip")
        assert code == 1 and re.search(r"none of the \d+ pictures can be opened; first: .*\.png", err)


class TestNamesAsTyped:
    def test_patterns_that_the_shell_left(self, tmp_path):
        for name in ("10.png", "2.png", "b [1].png", "c.txt"):
            (tmp_path / name).touch()
        found = _options.chosen_pictures([f"{tmp_path}/*.png", f"{tmp_path}/b [1].png", "http://host/x*.png?a=b"])
        names = [path.name for path in found[:-1]]
        assert names == ["2.png", "10.png", "b [1].png", "b [1].png"] and found[-1] == "http://host/x*.png?a=b"
        with pytest.raises(zsc.ImageError, match="no file matches"):
            _options.chosen_pictures([f"{tmp_path}/2.png", f"{tmp_path}/*.gif"])

    def test_brackets_beside_a_star_are_letters(self, tmp_path):
        (tmp_path / "b [1].png").touch()
        (tmp_path / "b 1.png").touch()
        assert [p.name for p in _options.chosen_pictures([f"{tmp_path}/b [1]*"])] == ["b [1].png"]

    def test_a_file_of_that_very_name(self, tmp_path):
        for name in ("a*.png", "ab.png"):
            (tmp_path / name).touch()
        assert [p.name for p in _options.chosen_pictures([f"{tmp_path}/a*.png"])] == ["a*.png"]

    def test_names_that_begin_with_a_dash(self, toys, capsys, monkeypatch):
        monkeypatch.chdir(toys / "cat")
        shutil.copy(next(Path().iterdir()), "-dash 1.png")
        words = ("classify", "--model", "toy", "--prompts", "a drawing of a cat", "a drawing of a dog")
        code, out, _ = run(capsys, *words, "--", "-dash 1.png")
        assert code == 0 and "-dash 1.png" in out
        code, out, _ = run(capsys, "search", "--folder", toys, "--model", "toy", "--picture", "--", "-dash 1.png")
        assert code == 0

    def test_equal_names_in_two_folders(self, tmp_path, capsys):
        paths = [tmp_path / name / "1.png" for name in "ab"]
        for path in paths:
            path.parent.mkdir()
            Image.new("RGB", (9, 9)).save(path)
        _, out, _ = run(capsys, "classify", *paths, *TestPicturesThatFail.prompts)
        assert all(str(path) in out for path in paths)

    def test_search_by_a_picture_at_an_address(self, toys, capsys):
        picture = next((toys / "dog").iterdir())
        server = FileServer({"/x.png": picture.read_bytes()})
        words = ("search", "--folder", toys, "--model", "toy", "-k", 1, "--picture")
        code, out, _ = run(capsys, *words, f"{server.url}/x.png")
        server.close()
        assert code == 0 and picture.name in out
        code, _, err = run(capsys, *words, f"{server.url}/gone.png")
        assert code == 1 and f"{server.url}/gone.png" in err


@pytest.mark.slow
class TestWhatIsSaid:
    def test_advice_on_prompts(self, toys, capsys):
        (toys / "cat").rename(toys / "n01440764")
        (toys / "dog").rename(toys / "1")
        words = ("--folder", toys, "--model", "toy")
        for command in (["evaluate"], ["compare", "--templates", "{}", "a photo of a {}"]):
            _, out, _ = run(capsys, *command, *words)
            assert len(re.findall("^Advice", out, re.M)) in (2, 3) and "n01440764" in out
            advice = json.loads(run(capsys, *command, *words, "--json")[1])["advice"]
            assert {"no phrase"} == {row["warning"] for row in advice} and len(advice) >= 2
        _, out, _ = run(capsys, "search", *words, "a cat without a collar")
        assert "Advice        'a cat without a collar': 'without'" in out
        assert "Advice" not in run(capsys, "search", *words, "a photo of a cat")[1]
        some = next((toys / "1").iterdir())
        _, out, _ = run(capsys, "classify", some, "--model", "toy", "--prompts", "a cat", "no cat", "n01440764")
        assert len(re.findall("^Advice", out, re.M)) == 2

    def test_a_classifier_that_is_no_better_than_none(self, capsys):
        words = ("--dataset", "drawn-glasses", "--limit", 20, "--model", "toy")
        _, out, _ = run(capsys, "evaluate", *words)
        assert "Verdict" not in out
        code, out, _ = run(capsys, "evaluate", "--dataset", "drawn-glasses", "--limit", 40, "--model", "conse")
        content = json.loads(
            run(capsys, "evaluate", "--dataset", "drawn-glasses", "--limit", 40, "--model", "conse", "--json")[1]
        )
        low, high = content["interval"]
        floor = content["majority_baseline"]
        assert (low <= floor) == ("Verdict" in out) == bool(content["verdict"])
        assert f"{floor:.3f}" in out and re.search(r"^ *picture \d+ ", out, re.M) and "PIL" not in out
        assert re.fullmatch(r"picture \d+", content["errors"][0]["image"])
        _, out, _ = run(capsys, "compare", *words, "--templates", "{}", "a {}")
        assert "Baseline  0.600 by always naming the most frequent class" in out

    def test_a_note_of_the_reader_reaches_the_user(self, toys, capsys, monkeypatch):
        read = zsc.ImageDataset.from_folder

        def with_note(folder):
            dataset = read(folder)
            return zsc.ImageDataset(
                dataset.paths, dataset.labels, dataset.class_names, notes={"passed over": "2 files: a.pdf, b.mp4"}
            )

        monkeypatch.setattr(zsc.ImageDataset, "from_folder", with_note)
        for command in (["evaluate"], ["search", "a cat"], ["compare", "--templates", "{}", "a {}"], ["embed"]):
            words = [*command, "--folder", toys, "--model", "toy", "--store", toys.parent / "kept"]
            assert "Passed over   2 files: a.pdf, b.mp4" in run(capsys, *words)[1]
            _, out, err = run(capsys, *words, "--json")
            assert "Passed over   2 files" in err and json.loads(out)["notes"]["passed over"].startswith("2 files")

    def test_the_demonstration_outside_a_checkout(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setattr("zsc.cli.demo.CHECKOUT", tmp_path)
        _, out, _ = run(capsys, "demo", "--output", tmp_path / "demo.png")
        assert "make lab" not in out and "the notebooks come with the project's source" in out

    @pytest.mark.parametrize("backend", ["module://missing_backend.inline", "nonsense"])
    def test_the_backend_of_a_notebook(self, backend, tmp_path):
        command = f"zsc evaluate --dataset drawn-glasses --limit 4 --model toy --figure {tmp_path}/f.png"
        done = shell(command, MPLBACKEND=backend)
        assert done.returncode == 0 and (tmp_path / "f.png").stat().st_size > 1000, done.stderr

    def test_without_a_home(self, tmp_path):
        script = (
            "import os, pwd, sys\nos.environ.pop('HOME', None)\n"
            "def gone(_): raise KeyError('no such user')\npwd.getpwuid = pwd.getpwnam = gone\n"
            "from zsc.cli import main\nsys.exit(main(sys.argv[1:]))"
        )
        photo = zsc.load_dataset("samples").paths[1]
        for words in (["models"], ["datasets"], ["classify", str(photo), "--prompts", "a cat", "a cup"]):
            command = [sys.executable, "-c", script, *words]
            environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "ZSC_WEIGHTS")}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            assert done.returncode == 0, done.stderr


class TestFaultsOfZsc:
    def test_one_sentence_and_the_traceback_on_demand(self, capsys, monkeypatch):
        monkeypatch.setattr("zsc.cli.models.model_table", lambda **_: {}["nothing"])
        code, out, err = run(capsys, "models")
        assert code == 1 and out == "" and err.count("\n") == 1
        assert "KeyError at zsc/cli/models.py:" in err and "please report it" in err
        for words in (["--debug", "models"], ["models", "--debug"]):
            code, _, err = run(capsys, *words)
            assert code == 1 and "Traceback" in err and "please report it" in err

    @pytest.mark.parametrize("error", [TypeError, ValueError, AttributeError, RecursionError, AssertionError])
    def test_whatever_its_type(self, error, capsys, monkeypatch):
        def fail(**_):
            raise error("of another library")

        monkeypatch.setattr("zsc.cli.models.model_table", fail)
        code, _, err = run(capsys, "models")
        assert code == 1 and f"{error.__name__} at zsc/cli/models.py" in err and "of another library" in err

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (PermissionError(13, "Permission denied", "/x/y"), "zsc: /x/y: Permission denied\n"),
            (OSError(28, "the store /s cannot be written to"), "zsc: the store /s cannot be written to\n"),
            (MemoryError(), "zsc: not enough memory"),
        ],
    )
    def test_what_the_machine_refuses_is_no_fault(self, error, text, capsys, monkeypatch):
        def fail(**_):
            raise error

        monkeypatch.setattr("zsc.cli.models.model_table", fail)
        code, _, err = run(capsys, "models")
        assert code == 1 and err.startswith(text) and "report" not in err

    def test_an_installation_that_is_not_whole(self):
        script = "import sys; sys.modules['pandas'] = None; from zsc.cli import main; sys.exit(main(['models']))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stderr.startswith("zsc: the installation is not whole")
        assert done.stderr.count("\n") == 1


class TestInterrupt:
    def interrupted(self, words, *, when, cwd):
        """Run a command in a process of its own that interrupts itself; give what it says."""
        script = (
            "import os, signal, sys, threading\nfrom zsc.cli import main\n"
            f"threading.Timer({when}, os.kill, (os.getpid(), signal.SIGINT)).start()\nsys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", script, *map(str, words)]
        environment = os.environ | {"PYTHONPATH": str(Path(zsc.__file__).parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False)
        assert done.returncode == 130, (done.returncode, done.stderr)
        assert "Traceback" not in done.stderr and "stopped" in done.stderr
        return done.stderr

    @pytest.mark.parametrize("when", [0.02, 0.15, 0.4, 0.8])
    def test_while_things_are_imported(self, when, tmp_path):
        self.interrupted(["evaluate", "--dataset", "drawn-animals", "--model", "conse"], when=when, cwd=tmp_path)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["evaluate", "--dataset", "samples"], "stopped; no embedding is kept (with --store FOLDER they would be)"),
            (["embed", "--dataset", "samples", "--store", "kept"], "stopped; nothing was embedded yet"),
            (
                ["evaluate", "--dataset", "samples", "--store", "kept"],
                "stopped; what was embedded is kept in kept",
            ),  # texts
            (["classify", "x.png", "--prompts", "a", "b"], "stopped; no embedding is kept (with --store"),
            (["download", "glasses"], "what was fetched is kept"),
            (["models"], "stopped."),
        ],
    )
    def test_says_what_is_true(self, words, said, capsys, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        Image.new("RGB", (9, 9)).save("x.png")

        def stop(*_, **__):
            raise KeyboardInterrupt

        for place in (
            "_options.embed_images",
            "classify.ZeroShotClassifier.embed",
            "download.download_dataset",
            "models.model_table",
        ):
            monkeypatch.setattr(f"zsc.cli.{place}", stop)
        code, out, err = run(
            capsys, *words, *(["--model", "conse"] if words[0] in ("embed", "evaluate", "classify") else [])
        )
        assert code == 130 and out == "" and said in err and err.count("\n") == 1

    def test_what_was_embedded_is_kept(self, capsys, monkeypatch, toys, tmp_path):
        words = ("--folder", toys, "--model", "toy", "--store", tmp_path / "kept")
        assert run(capsys, "embed", *words)[0] == 0

        def stop(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("zsc.cli._options.embed_images", stop)
        for command in ("embed", "evaluate"):
            code, _, err = run(capsys, command, *words)
            assert code == 130 and f"what was embedded is kept in {tmp_path / 'kept'}" in err

    def test_the_callers_handlers_come_back(self, capsys):
        before = signal.getsignal(signal.SIGINT), sys.excepthook, os.environ.get("MPLBACKEND")
        run(capsys, "models")
        assert (signal.getsignal(signal.SIGINT), sys.excepthook, os.environ.get("MPLBACKEND")) == before


class TestStoreCompact:
    def test_small_files_become_large_ones_and_the_answers_stay(self, toys, capsys, tmp_path, monkeypatch):
        monkeypatch.setattr("zsc.embeddings.PART_ROWS", 1)  # a file for every batch
        kept = tmp_path / "kept"
        words = ("--folder", toys, "--model", "toy", "--store", kept)
        assert run(capsys, "embed", *words)[0] == 0 and run(capsys, "evaluate", *words)[0] == 0  # pictures and texts
        (before,) = json.loads(run(capsys, "store", "info", "--store", kept, "--json")[1])
        assert before["files"] >= 2 and before["texts"] and before["dtypes"] == ["float32"]
        first = zsc.embed_images("toy", zsc.ImageDataset.from_folder(toys), kept, progress=False).values
        code, out, _ = run(capsys, "store", "compact", "--store", kept)
        assert code == 0 and "in 1 files, float32" in out
        (after,) = json.loads(run(capsys, "store", "info", "--store", kept, "--json")[1])
        assert {**after, "bytes": 0, "files": 0} == {**before, "bytes": 0, "files": 0} and after["files"] == 1
        again = zsc.embed_images("toy", zsc.ImageDataset.from_folder(toys), kept, progress=False).values
        np.testing.assert_array_equal(first, again)
        assert run(capsys, "store", "compact", "--float16", "--store", kept)[1].endswith("in 1 files, float16\n")
        half = zsc.embed_images("toy", zsc.ImageDataset.from_folder(toys), kept, progress=False).values
        assert 0 < np.abs(half - first).max() < 1e-3
        part = next(kept.glob(f"{after['fingerprint']}/part-*.parquet"))
        part.write_bytes(b"no parquet")
        code, out, _ = run(capsys, "store", "verify", "--store", kept)
        assert code == 1 and f"problem: {part.name}: its bytes" in out
        assert run(capsys, "store", "clear", "--yes", "--store", kept)[0] == 0 and not [*kept.iterdir()]

    def test_float16_goes_with_nothing_else(self, toys, capsys, tmp_path):
        run(capsys, "embed", "--folder", toys, "--model", "toy", "--store", tmp_path / "kept")
        code, out, err = run(capsys, "store", "info", "--float16", "--store", tmp_path / "kept")
        assert code == 1 and out == "" and "--float16 says how to compact; it does not go with info." in err


class TestStoreClear:
    @pytest.fixture
    def kept(self, toys, capsys, tmp_path):
        run(capsys, "embed", "--folder", toys, "--model", "toy", "--store", tmp_path / "kept")
        return tmp_path / "kept"

    def test_asks_first_and_never_without_a_terminal(self, kept, capsys, monkeypatch):
        files = sorted(kept.rglob("*"))
        code, out, err = run(capsys, "store", "clear", "--store", kept)
        assert code == 1 and out == "" and "--yes" in err and sorted(kept.rglob("*")) == files
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        for answer, code in (("\n", 1), ("no\n", 1), ("", 1), ("y\n", 0)):
            monkeypatch.setattr("sys.stdin.readline", lambda answer=answer: answer, raising=False)
            found, _, err = run(capsys, "store", "clear", "--store", kept)
            assert found == code and "Remove the kept embeddings of toy from" in err
            assert kept.exists() and bool(list(kept.rglob("*.parquet"))) == bool(code)

    def test_what_is_not_ours_stays(self, kept, capsys, tmp_path):
        foreign = {
            "tfjs/model.json": '{"format": "layers-model"}',
            "tfjs/shard.bin": "weights",
            "0123456789abcdef/model.json": "{}",
            "0123456789abcdef/part-0.parquet": "theirs",
            "paths/notes.txt": "notes",
        }
        own = next(path for path in kept.iterdir() if path.name != "paths")
        foreign[f"{own.name}/notes.txt"] = "mine"
        for name, text in foreign.items():
            (kept / name).parent.mkdir(exist_ok=True)
            (kept / name).write_text(text)
        code, out, _ = run(capsys, "store", "clear", "--yes", "--store", kept)
        assert code == 0 and f"removed {own}" in out and f"left {own / 'notes.txt'}: " in out
        assert {str(p.relative_to(kept)): p.read_text() for p in kept.rglob("*") if p.is_file()} == foreign

    def test_a_folder_without_a_store(self, capsys, tmp_path):
        (tmp_path / "tfjs").mkdir()
        (tmp_path / "tfjs/model.json").write_text("{}")
        code, _, err = run(capsys, "store", "clear", "--yes", "--store", tmp_path)
        assert code == 1 and "no kept embeddings" in err and (tmp_path / "tfjs/model.json").exists()
