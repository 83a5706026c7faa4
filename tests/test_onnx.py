"""Models as ONNX graphs: torch's numbers without torch; the same tokens; what is damaged is refused."""

import dataclasses
import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from test_project import WITHOUT_TORCH
from test_text_embeddings import ODD

import zsc
from zsc.models import WeightsError, export_model
from zsc.models.onnx import Graph

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow
TEXTS = [*ODD, "", "dog " * 90, "déjà vu &amp;amp; 犬🐶", "a<|endoftext|>b", "it's  <b>bold</b>\u3000"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export_model("toy", tmp_path_factory.mktemp("onnx") / "toy")


@pytest.fixture(scope="module")
def toy():
    return zsc.load_model("toy", device="cpu")


def drawn(n=40):
    return zsc.load_dataset("drawn-animals", n=n)


def embed(model):
    return model.encode_images(drawn(3).paths), model.encode_texts(["a cat"])


def check_same(found, own, pictures):
    np.testing.assert_allclose(found.encode_images(pictures), own.encode_images(pictures), atol=1e-5)
    np.testing.assert_allclose(
        found.encode_texts(TEXTS, truncate=True), own.encode_texts(TEXTS, truncate=True), atol=1e-5
    )
    assert found.token_ids(TEXTS, truncate=True) == own.token_ids(TEXTS, truncate=True)
    for text in TEXTS:
        assert found.tokenizer.kept(text) == own.tokenizer.kept(text)
        assert found.tokenizer.count(text) == own.tokenizer.count(text)


def test_toy_is_toy(folder, toy):
    found = zsc.load_model(f"onnx:{folder}")
    check_same(found, toy, drawn(5).paths)
    assert found.info == dataclasses.replace(toy.info, name=f"onnx:{folder}", engine="onnx")
    assert found.fingerprint != toy.fingerprint
    assert found.encode_images([]).shape == (0, 128)
    with pytest.raises(ValueError, match="92 tokens, limit 77"):
        found.encode_texts("dog " * 90)
    own, other = (zsc.ZeroShotClassifier(drawn().class_names, m).evaluate(drawn()) for m in (toy, found))
    np.testing.assert_array_equal(own.y_pred, other.y_pred)


def test_in_another_process(folder):
    model = zsc.load_model(f"onnx:{folder}")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        theirs = pool.submit(embed, model).result()
    for one, other in zip(theirs, embed(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_torch(folder, toy):
    """Pictures are classified where neither torch nor a library of models can be imported, to the same accuracy."""
    needed = "HEAVY -= {'onnxruntime', 'tokenizers', 'ftfy', 'regex'}\n"
    blocked = WITHOUT_TORCH[: WITHOUT_TORCH.index("import numpy")] + needed
    code = blocked + (
        "import zsc, sys\n"
        "drawn = zsc.load_dataset('drawn-animals', n=40)\n"
        "print(zsc.ZeroShotClassifier(drawn.class_names, 'onnx:' + sys.argv[1]).evaluate(drawn).accuracy)\n"
        "assert 'torch' not in sys.modules and 'open_clip' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == zsc.ZeroShotClassifier(drawn().class_names, toy).evaluate(drawn()).accuracy


def test_conse_is_conse(conse, tmp_path, pictures):
    export_model("conse", tmp_path / "conse")
    check_same(zsc.load_model(f"onnx:{tmp_path / 'conse'}"), conse, pictures[:3])


@pytest.mark.parametrize("route", ["openai", "open_clip"])
def test_of_full_size(route, vit_path, tmp_path, pictures):
    name = str(vit_path) if route == "openai" else f"open_clip:ViT-B-32-quickgelu/{vit_path}"
    if route == "open_clip":
        name = small_open_clip(tmp_path)
    export_model(name, tmp_path / "model")
    check_same(zsc.load_model(f"onnx:{tmp_path / 'model'}"), zsc.load_model(name, device="cpu"), pictures[:3])


def small_open_clip(folder):
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-S-32-alt").eval().state_dict(), folder / "w.pt")
    return f"open_clip:ViT-S-32-alt/{folder / 'w.pt'}"


@pytest.mark.parametrize("file", ["image.onnx", "text.onnx", "tokens.json"])
def test_a_damaged_file_is_refused(folder, file, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = bytearray((tmp_path / file).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / file).write_bytes(data)
    with pytest.raises(WeightsError, match=f"{file} is not what was exported"):
        zsc.load_model(f"onnx:{tmp_path}")


def test_what_is_no_export(folder, tmp_path):
    for name in (tmp_path, tmp_path / "none"):
        with pytest.raises(WeightsError, match="no folder that 'zsc models export' wrote"):
            zsc.load_model(f"onnx:{name}")
    told = json.loads((folder / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(WeightsError, match="is of format 99"):
        zsc.load_model(f"onnx:{tmp_path}")
    with pytest.raises(ValueError, match="precision of this folder.*float32"):
        zsc.load_model(f"onnx:{folder}", precision="float16")
    with pytest.raises(ValueError, match="leave engine and calibrate out"):
        zsc.load_model(f"onnx:{folder}", engine="openvino")


def test_what_cannot_be_exported(folder, small_hf_folder, tmp_path):
    with pytest.raises(ValueError, match="preprocessed by its library's own code"):
        export_model(f"hf:{small_hf_folder}", tmp_path / "new")
    with pytest.raises(ValueError, match="is exported already"):
        export_model(f"onnx:{folder}", tmp_path / "new")
    with pytest.raises(FileExistsError, match="is there already"):
        export_model("toy", folder)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_graph_is_not_kept(monkeypatch, tmp_path):
    from zsc.models import export

    monkeypatch.setattr(Graph, "__call__", lambda self, call=Graph.__call__, **i: call(self, **i) + 1)
    with pytest.raises(ValueError, match="off torch's"):
        export.export_model("toy", tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_torch_as_it_was(monkeypatch, tmp_path):
    import torch

    def fails(*_, **__):
        raise RuntimeError("an operation that ONNX lacks")

    monkeypatch.setattr("torch.onnx.export", fails)
    with pytest.raises(RuntimeError, match="ONNX lacks"):
        export_model("toy", tmp_path / "toy")
    assert torch.backends.mha.get_fastpath_enabled() and list(tmp_path.iterdir()) == []


def test_the_classes_baked_in(toy, tmp_path):
    import onnxruntime

    clf = zsc.ZeroShotClassifier(zsc.ClassPrompts.from_names(["cat", "dog"], ["a {}", "a drawing of a {}"]), toy)
    session = onnxruntime.InferenceSession(clf.export(tmp_path / "head.onnx"))
    pixels = np.stack([toy.transform(zsc.open_image(p)) for p in drawn(9).paths])
    np.testing.assert_allclose(session.run(None, {"pixels": pixels})[0], clf.predict_proba(drawn(9)), atol=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["class_names"]) == ["cat", "dog"] and json.loads(told["preprocessing"])["size"] == 64
    assert [p.name for p in tmp_path.iterdir()] == ["head.onnx"]
    with pytest.raises(ValueError, match="one vector per class"):
        zsc.ZeroShotClassifier(clf.prompts, toy, pooling="max").export(tmp_path / "head.onnx")
