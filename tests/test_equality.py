"""Each tutorial's own steps, written out with the library it uses, against zsc: full-size models, random weights.

Ten pictures, twenty prompts. The last tests break zsc on purpose, one step at a time, and the comparison must see it.
"""

import copy
import dataclasses

import clip
import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image

import zsc
from benchmarks.checkpoints import hugging_face_folder, random_checkpoint
from zsc.models import base
from zsc.scoring import cosine_scores, to_proba

pytestmark = pytest.mark.slow

THINGS = ["cat", "dog", "wild animal", "wolf", "tiger", "lion", "fox", "leopard", "golf ball", "English springer"]
PROMPTS = [f"a photo of a {thing}" for thing in THINGS] + [f"{thing}, naïve café 東京" for thing in THINGS]
SIZES = [(1, 1), (1, 300), (300, 1), (223, 225), (224, 224), (225, 224), (97, 640), (641, 97), (1024, 768), (33, 35)]


@torch.no_grad()
def glasses_tutorial(path, pictures):
    """OpenAI's clip: the model's own logits of each picture and the texts, then the softmax."""
    model = clip.model.build_model(torch.load(path, weights_only=True)).float()
    preprocess = clip.clip._transform(model.visual.input_resolution)
    text = clip.tokenize(PROMPTS)
    pixels = torch.stack([preprocess(picture) for picture in pictures])
    logits = model(pixels, text)[0]  # the tutorial's loop, all pictures at once
    images, texts = torch.cat([model.encode_image(one.unsqueeze(0)) for one in pixels]), model.encode_text(text)
    return plain_rows(images), plain_rows(texts), logits.numpy(), logits.softmax(dim=-1).numpy()


@torch.no_grad()
def open_clip_way(path, pictures):
    """open_clip: normalised features, their product times the exponent of the learned scale."""
    model = open_clip.load_openai_model(str(path), precision="fp32", device="cpu")
    preprocess = open_clip.image_transform(224, is_train=False)
    images = model.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
    texts = model.encode_text(open_clip.tokenize(PROMPTS), normalize=True)
    logits = model.logit_scale.exp() * images @ texts.T
    return images.numpy(), texts.numpy(), logits.numpy(), logits.softmax(dim=-1).numpy()


@pytest.fixture(scope="session")
def hf_folder(vit_path, tmp_path_factory):
    return hugging_face_folder(vit_path, tmp_path_factory.mktemp("hf"))


@torch.no_grad()
def afhq_tutorial(folder, pictures):
    """transformers: processor with texts and pictures, logits_per_image, softmax."""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    found = model(**processor(text=PROMPTS, images=pictures, return_tensors="pt", padding=True))
    logits = found.logits_per_image
    return plain_rows(found.image_embeds), plain_rows(found.text_embeds), logits.numpy(), logits.softmax(-1).numpy()


@torch.no_grad()
def imagenette_tutorial(folder, pictures):
    """transformers in batches: label embeddings first, then pictures, the dot product, arg-max. Right normalisation."""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    tokens = processor(text=PROMPTS, return_tensors="pt", padding=True)
    labels = model.get_text_features(**tokens).pooler_output.numpy()
    labels = labels / np.linalg.norm(labels, axis=1, keepdims=True)
    pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]
    images = model.get_image_features(pixel_values=pixels).pooler_output.numpy()
    return images, labels, np.dot(images, labels.T), None


def plain_rows(embeddings):
    return (embeddings / embeddings.norm(dim=1, keepdim=True)).numpy()


def through_zsc(encoder, pictures):
    """The same four arrays through zsc's public functions."""
    clf = zsc.ZeroShotClassifier(PROMPTS, encoder)
    images = encoder.encode_images(pictures, batch_size=4)
    return images, clf.text_embeddings, encoder.logit_scale * clf.predict_scores(pictures), clf.predict_proba(pictures)


def assert_equal(ours, theirs, scale):
    """Embeddings and probabilities to 1e-5; logits to as much, on the cosine's scale."""
    for our, their in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(our, their, atol=1e-5)
    np.testing.assert_allclose(ours[2] / scale, theirs[2] / scale, atol=1e-5)
    np.testing.assert_allclose(ours[3], theirs[3], atol=1e-5 * scale / 4)
    assert (ours[3].argmax(axis=1) == theirs[3].argmax(axis=1)).all()


@pytest.fixture(scope="module", params=["RN50", "ViT-B-32"])
def tutorials(request, pictures):
    """A checkpoint, and what the two libraries' own steps make of it; computed once."""
    path = random_checkpoint(request.param)
    return path, [way(path, pictures) for way in (glasses_tutorial, open_clip_way)]


@pytest.mark.parametrize("library", ["clip", "open_clip"])
def test_openais_checkpoints(library, tutorials, pictures):
    path, both = tutorials
    encoder = zsc.load_model(path, device="cpu", library=library)
    ours = through_zsc(encoder, pictures)
    for theirs in both:
        assert np.ptp(theirs[2], axis=1).min() > 1e-3  # logits of different prompts differ, else anything passes
        assert_equal(ours, theirs, encoder.logit_scale)


def test_the_afhq_tutorial(hf_folder, pictures):
    encoder = zsc.load_model(f"hf:{hf_folder}", device="cpu")
    assert_equal(through_zsc(encoder, pictures), afhq_tutorial(hf_folder, pictures), encoder.logit_scale)


def test_the_imagenette_tutorial(hf_folder, pictures):
    encoder = zsc.load_model(f"hf:{hf_folder}", device="cpu")
    images, labels, scores, _ = imagenette_tutorial(hf_folder, pictures)
    ours = through_zsc(encoder, pictures)
    lengths = np.linalg.norm(images, axis=1, keepdims=True)  # the tutorial leaves its pictures' rows as they are
    np.testing.assert_allclose(ours[0], images / lengths, atol=1e-5)
    np.testing.assert_allclose(ours[1], labels, atol=1e-5)
    np.testing.assert_allclose(ours[2] / encoder.logit_scale, scores / lengths, atol=1e-5)
    assert (ours[2].argmax(axis=1) == scores.argmax(axis=1)).all()


def some_texts(n=500):
    """English, accents, emoji, CJK, Cyrillic, punctuation, long and empty ones, from a seed."""
    rng = np.random.default_rng(0)
    alphabets = ["abcdefghij ABCDEFGHIJ", "éèüñçøß ", "🙂🐱🎉👨‍👩‍👧 ", "東京猫写真の", "собака кошка "]
    alphabets += ["!?.,;:'\"()-&<> ", "0123456789 "]
    texts = ["", " ", "a", "don't", "&amp;", "\n\t", "a" * 300, "dog " * 70]
    while len(texts) < n:
        letters = list("".join(rng.choice(alphabets, size=rng.integers(1, 4))))
        texts.append("".join(rng.choice(letters, size=rng.integers(1, 60))))
    return texts


@pytest.mark.parametrize("library", ["clip", "open_clip"])
def test_five_hundred_texts_have_openais_tokens(library, vit_path):
    texts = some_texts()
    encoder = zsc.load_model(vit_path, device="cpu", library=library)
    expected = clip.tokenize(texts, truncate=True)
    assert torch.equal(encoder.tokenizer(texts), expected)
    assert torch.equal(open_clip.tokenize(texts), expected)  # the peers agree with each other, too
    assert len({tuple(row) for row in expected.tolist()}) > 480


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", SIZES)
def test_preprocessing_is_openais_bit_for_bit(size, mode, three):
    encoder = three[0]
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    ours = encoder.transform(zsc.open_image(picture))
    np.testing.assert_array_equal(ours, clip.clip._transform(224)(picture).numpy())


def _wrong_axis(embeddings, name):
    rows = embeddings.float().numpy()
    return rows / np.linalg.norm(rows, axis=0, keepdims=True)


def break_normalisation(encoder, monkeypatch):
    monkeypatch.setattr(base, "_unit_rows", _wrong_axis)


def break_scale(encoder, monkeypatch):
    encoder.info = dataclasses.replace(encoder.info, logit_scale=encoder.logit_scale * 1.01)


def break_resize_filter(encoder, monkeypatch):
    encoder.transform = dataclasses.replace(encoder.transform, interpolation="bilinear")


def break_rgb_order(encoder, monkeypatch):
    original = encoder.transform
    encoder.transform = lambda picture: original(picture)[::-1].copy()


def break_prompt_order(encoder, monkeypatch):
    original = encoder.encode_texts
    monkeypatch.setattr(encoder, "encode_texts", lambda texts, **options: original([*texts[1:], texts[0]], **options))


BREAKS = [break_normalisation, break_scale, break_resize_filter, break_rgb_order, break_prompt_order]


@pytest.fixture(scope="module")
def three(pictures):
    """The tutorial's steps on three pictures, and zsc's encoder, unbroken and equal."""
    path = random_checkpoint("ViT-B-32")
    theirs = glasses_tutorial(path, pictures[:3])
    encoder = zsc.load_model(path, device="cpu")
    assert_equal(through_zsc(encoder, pictures[:3]), theirs, encoder.logit_scale)
    return encoder, theirs, encoder.logit_scale


@pytest.mark.parametrize("change", BREAKS, ids=lambda f: f.__name__)
def test_a_broken_step_is_seen(change, three, pictures, monkeypatch):
    encoder, theirs, scale = three
    broken = copy.copy(encoder)
    change(broken, monkeypatch)
    with pytest.raises((AssertionError, ValueError)):  # other rows than unit rows are refused
        assert_equal(through_zsc(broken, pictures[:3]), theirs, scale)


def test_scores_and_probabilities_are_the_plain_formula():
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(n, 64)).astype(np.float32) for n in (10, 20))
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    powers = np.exp(14.3 * images.astype(np.float64) @ texts.T.astype(np.float64))
    proba = to_proba(cosine_scores(images, texts), 14.3)
    np.testing.assert_allclose(proba, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
