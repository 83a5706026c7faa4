"""The command line as a person meets it: what is printed, what is data, which exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zsc
from zsc import cli
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
    monkeypatch.setattr("zsc.demo.load_model", zsc.models.load_model)
    for module in ("keep", "compare"):
        monkeypatch.setattr(f"zsc.cli.{module}.load_model", zsc.models.load_model)


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


def test_demo_as_data(capsys, tmp_path):
    code, out, _ = run(capsys, "demo", "--json", "--output", tmp_path / "demo.png")
    content = json.loads(out)
    assert code == 0 and content["model"] == "conse"
    evaluation = content["evaluations"]["a photo of a {}"]
    assert evaluation["n"] == 17 and evaluation["interval"][0] < evaluation["accuracy"] < evaluation["interval"][1]


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


def test_evaluate_own_folder_and_prompts_file(capsys, animals, tmp_path):
    (tmp_path / "p.yaml").write_text("cat: a photo of a cat\ndog: a photo of a dog\nwild: [a photo of a lion, a fox]\n")
    words = ("evaluate", "--folder", animals / "afhq/val", "--prompts-file", tmp_path / "p.yaml", "--pooling", "max")
    code, out, _ = run(capsys, *words)
    assert code == 0 and "val, 6 pictures" in out and "p: 4 for 3 classes, pooling max" in out


def test_models(capsys, monkeypatch, tmp_path):
    code, out, _ = run(capsys, "models")
    assert code == 0 and "ViT-L/14@336px" in out and "to download" in out and "not measured here" in out
    code, out, _ = run(capsys, "models", "--json")
    rows = {row["model"]: row for row in json.loads(out)}
    assert rows["RN50"]["embed_dim"] == 1024 and rows["conse"]["weights"] == "installed"
    weights.weights_path("RN50").parent.mkdir()
    weights.weights_path("RN50").touch()
    rows = {row["model"]: row for row in json.loads(run(capsys, "models", "--json")[1])}
    assert rows["RN50"]["weights"] == "on this machine"


def test_datasets(capsys, animals):
    code, out, _ = run(capsys, "datasets", "--data-root", animals)
    lines = {line[:17].strip(): line for line in out.splitlines()}
    sizes = ("320px", "160px", "full")
    assert list(lines) == ["samples", "glasses", "afhq 1", "afhq 2", *(f"imagenette {size}" for size in sizes)]
    assert code == 0 and "6 pictures, 3 classes" in lines["afhq 1"] and "17 pictures" in lines["samples"]
    assert "data/glasses.md" in lines["glasses"] and "zsc download imagenette" in lines["imagenette 320px"]
    rows = {r["dataset"]: r for r in json.loads(run(capsys, "datasets", "--data-root", animals, "--json")[1])}
    assert rows["afhq 1"]["pictures"] == 6 and rows["glasses"]["pictures"] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["classify", "gone.png", "--prompts", "a", "b"], "gone.png: no such file"),
        (["classify", "gone.png"], "no prompts given"),
        (["classify", "x.png", "--prompts", "a"], "1 class given"),
        (["evaluate", "--dataset", "cifar"], "no data set 'cifar'; accepted are"),
        (["evaluate", "--dataset", "afhq", "--data-root", "nowhere"], "no images under nowhere/afhq/val; expected"),
        (["evaluate", "--dataset", "samples", "--model", "RN51"], "no model 'RN51'; accepted are RN50"),
        (["evaluate", "--dataset", "samples", "--prompt-set", "x"], "no prompt set 'x'"),
        (["evaluate", "--folder", ".", "--split", "x"], "--folder takes no --split"),
        (["demo", "--output", "noext"], "noext: no name for a picture"),
        (["evaluate", "--dataset", "samples", "--prompts-file", "no.yaml"], "no.yaml: no such prompts file"),
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
    ],
)
def test_bad_usage_is_exit_code_2(capsys, words):
    with pytest.raises(SystemExit) as caught:
        run(capsys, *words)
    assert caught.value.code == 2 and "usage: zsc" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["demo", "classify", "evaluate", "models", "datasets", "download", "embed", "store"]
)
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as caught:
        run(capsys, command, "--help")
    out = capsys.readouterr().out
    assert caught.value.code == 0 and "--json" in out


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m zsc models | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.split()[0] == "model" and done.stderr == ""


def test_a_terminal_without_the_letters(tmp_path):
    path = zsc.load_dataset("samples").paths[1]
    command = [sys.executable, "-m", "zsc", "classify", "gone-ü.png", "--prompts", "ein Hündchen", "b"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert path and done.returncode == 1 and r"gone-\xfc.png: no such file" in done.stderr


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        run(capsys, "--version")
    assert caught.value.code == 0 and capsys.readouterr().out == f"zsc {zsc.__version__}\n"


def test_embed_and_store(capsys, animals, tmp_path, monkeypatch):
    words = ("embed", "--dataset", "afhq", "--data-root", animals, "--model", "conse", "--store", tmp_path / "kept")
    code, out, _ = run(capsys, *words)
    assert code == 0 and "afhq val: 6 pictures by conse in" in out
    code, out, _ = run(capsys, "store", "info", "--store", tmp_path / "kept", "--json")
    row = json.loads(out)[0]
    assert row["embeddings"] == 6 and row["model"] == "conse" and row["bytes"] > 6 * 384 * 4
    assert run(capsys, "store", "verify", "--store", tmp_path / "kept")[1].endswith("sound\n")
    monkeypatch.setattr("zsc.embeddings.streaming.read_source", None)  # no picture is opened any more
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
    code, out, _ = run(capsys, "store", "clear", "--store", tmp_path / "kept")
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
    """What reaches the cluster; tests/test_cluster.py runs one."""
    asked = {}

    def stand_in(paths, **options):
        asked.update(options, paths=paths)
        return zsc.ImageEmbeddings(
            np.zeros((len(paths), 2), np.float32), paths, np.full(len(paths), -1), [], model="conse"
        )

    monkeypatch.setattr("zsc.cluster.embed_on_cluster", stand_in)
    words = ("embed", "--dataset", "afhq", "--root", animals, "--model", "conse", "--store", tmp_path / "kept")
    code, out, _ = run(capsys, *words, "--cluster", "ray://head:10001", "--workers", 3)
    assert code == 0 and "6 pictures by conse on Ray, 0 failed" in out
    assert asked["address"] == "ray://head:10001" and asked["actors"] == 3 and asked["model"] == "conse"
    assert len(asked["paths"]) == 6 and all(Path(path).is_absolute() for path in asked["paths"])
    run(capsys, *words, "--cluster")
    assert asked["address"] is None and asked["actors"] == 2


def test_evaluate_writes_what_is_asked_for(capsys, animals, tmp_path):
    words = ("evaluate", "--dataset", "afhq", "--root", animals, "--model", "conse")
    files = [tmp_path / name for name in ("e.json", "c.png", "r.html")]
    code, out, _ = run(capsys, *words, "--save", files[0], "--figure", files[1], "--html", files[2])
    assert code == 0 and all(str(f) in out for f in files)
    evaluation = zsc.Evaluation.load(files[0])
    assert evaluation.n == 6 and evaluation.about["model"] == "conse" and evaluation.about["weights_sha256"]
    assert evaluation.about["versions"]["zsc"] == zsc.__version__ and evaluation.about["hardware"]["cores"]
    assert f"accuracy      {evaluation.accuracy:.3f}".lower() in out.lower()
    assert zsc.open_image(files[1]).width > 300 and "conse" in files[2].read_text(encoding="utf-8")
    code, _, err = run(capsys, *words, "--figure", tmp_path / "c.xyz")
    assert code == 1 and "c.xyz" in err


class TestCompare:
    words = ("--dataset", "afhq", "--model", "conse")

    def test_the_table_and_the_figure(self, capsys, animals, tmp_path):
        picture = tmp_path / "ranking.png"
        words = ("compare", *self.words, "--root", animals, "--prompt-sets", "afhq-a", "afhq-b", "--templates", "{}")
        code, out, _ = run(capsys, *words, "--choose", "--figure", picture)
        assert code == 0 and "against 'afhq-a': exact McNemar, adjusted by Holm" in out
        assert "afhq-b: 6 images cannot tell it from afhq-a" in out and "Choice    chosen on one part" in out
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
        assert code == 1 and "reference='short'; accepted are bare, long" in err

    def test_one_candidate_is_none(self, capsys, animals):
        code, _, err = run(capsys, "compare", *self.words, "--root", animals, "--templates", "{}")
        assert code == 1 and "1 candidate given; name two or more" in err


def test_search(capsys):
    code, out, _ = run(capsys, "search", "--dataset", "samples", "--model", "conse", "-k", 2, "a photo of a cat")
    assert code == 0 and "cat" in out.splitlines()[2] and len(out.splitlines()) == 4
    picture = zsc.load_dataset("samples").paths[1]
    code, out, _ = run(capsys, "search", "--dataset", "samples", "--model", "conse", "--picture", picture, "--json")
    assert code == 0 and json.loads(out)["results"][0]["index"] == 1
