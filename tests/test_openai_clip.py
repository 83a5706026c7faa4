"""With OpenAI's architecture at full size, what we compute is what OpenAI's own code computes.

The weights are random, since none can be fetched here; the arithmetic is the same for any.
"""

import copy
import dataclasses
import logging
import pickle
import re
import shutil
import sys
import types

import clip
import numpy as np
import open_clip
import pytest
import torch
from servers import FileServer

import zsc
from benchmarks.checkpoints import random_checkpoint
from zsc.models import fast, openai_clip, weights
from zsc.models.base import TextTooLongError
from zsc.models.weights import OPENAI_WEIGHTS, PublishedWeights, WeightsError

pytestmark = pytest.mark.slow

TEXTS = ["a photo of a cat", "a photo of a wild animal", "naïve café, 東京", "", "dog " * 60]
NAMES = ["RN50", "ViT-B-32"]


@pytest.fixture(scope="module", params=NAMES)
def path(request):
    return random_checkpoint(request.param)


@pytest.fixture(scope="module")
def through_clip(path):
    return zsc.load_model(path, device="cpu", library="clip")


@pytest.fixture(scope="module")
def through_open_clip(path):
    return zsc.load_model(path, device="cpu", library="open_clip")


@torch.inference_mode()
def by_openai(path, pictures, texts):
    """The four steps with OpenAI's own functions: build, preprocess, encode, divide by the length."""
    model = clip.model.build_model(torch.load(path, weights_only=True)).float()
    preprocess = clip.clip._transform(model.visual.input_resolution)
    images = torch.cat([model.encode_image(preprocess(p).unsqueeze(0)) for p in pictures])
    rows = model.encode_text(clip.tokenize(texts))
    images, rows = (e / e.norm(dim=1, keepdim=True) for e in (images, rows))
    return images.numpy(), rows.numpy(), model.logit_scale.exp().item()


@torch.inference_mode()
def by_open_clip(path, pictures, texts):
    """The same with open_clip's own loader and functions."""
    model = open_clip.load_openai_model(str(path), precision="fp32", device="cpu")
    preprocess = open_clip.image_transform(model.visual.image_size, is_train=False)
    images = model.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
    rows = model.encode_text(open_clip.tokenize(texts), normalize=True)
    return images.numpy(), rows.numpy(), model.logit_scale.exp().item()


@pytest.mark.parametrize("direct", [by_openai, by_open_clip])
def test_equal_to_a_direct_use_of_each_library(direct, path, through_clip, through_open_clip, pictures):
    images, rows, scale = direct(path, pictures, TEXTS)
    assert np.abs(images[0] - images[1]).max() > 1e-3  # else anything would be equal
    for encoder in (through_clip, through_open_clip):
        np.testing.assert_allclose(encoder.encode_images(pictures), images, atol=1e-5)
        np.testing.assert_allclose(encoder.encode_texts(TEXTS), rows, atol=1e-5)
        assert encoder.logit_scale == pytest.approx(scale, rel=1e-6)


def test_openvino_is_torch_to_four_digits(path, through_clip, pictures):
    pytest.importorskip("openvino")
    encoder = zsc.load_model(path, device="cpu", engine="openvino")
    assert encoder.info.engine == "openvino" and encoder.fingerprint != through_clip.fingerprint
    np.testing.assert_allclose(encoder.encode_images(pictures), through_clip.encode_images(pictures), atol=1e-4)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), through_clip.encode_texts(TEXTS), atol=1e-5)


@pytest.fixture(params=["oneDNN", "torch's own"])
def product(request, monkeypatch):
    if request.param == "oneDNN" and not fast.has_onednn():
        pytest.skip("this torch has no oneDNN for this CPU")
    monkeypatch.setattr(fast, "has_onednn", lambda: request.param == "oneDNN")
    return request.param


def test_the_faster_transformers_are_openais(product, vit_path, pictures):
    model = clip.model.build_model(torch.load(vit_path, weights_only=True)).float()
    pixels = torch.stack([clip.clip._transform(224)(p) for p in pictures])
    tokens = clip.tokenize(TEXTS)
    with torch.inference_mode():
        seen, read = fast.lightened(copy.deepcopy(model.visual)), fast.TextTower(model)
        is_packed = [isinstance(m, fast.FastLinear) for m in seen.modules()]
        assert any(is_packed) == (product == "oneDNN")
        for ours, theirs in ((seen(pixels), model.encode_image(pixels)), (read(tokens), model.encode_text(tokens))):
            assert theirs.std() > 1e-2  # else anything would be equal
            assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_texts_are_read_no_further_than_the_longest(vit_path, through_clip):
    """What stands after a text's end is never looked at, and never changes it."""
    model = clip.model.build_model(torch.load(vit_path, weights_only=True)).float()
    read, lengths = fast.TextTower(model), []
    read.blocks[0].register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[1]))
    full = " ".join(["dog"] * 75)
    with torch.inference_mode():
        alone = read(clip.tokenize(["a dog"]))
        beside = read(clip.tokenize(["a dog", full]))
        torch.testing.assert_close(beside, model.encode_text(clip.tokenize(["a dog", full])), atol=1e-5, rtol=0)
    assert lengths == [4, 77]
    torch.testing.assert_close(alone[0], beside[0], atol=1e-5, rtol=0)


def test_the_faster_transformers_can_be_copied_and_sent(product, vit_path):
    read = fast.TextTower(clip.model.build_model(torch.load(vit_path, weights_only=True)).float())
    with torch.inference_mode():
        rows = read(clip.tokenize(TEXTS, truncate=True))
        assert torch.equal(copy.deepcopy(read)(clip.tokenize(TEXTS, truncate=True)), rows)
        sent = pickle.loads(pickle.dumps(read.blocks[0]))
        x = torch.randn(2, 5, 512)
        assert torch.equal(sent(x), read.blocks[0](x))


def test_another_activation_is_computed_as_it_is(vit_path):
    model = clip.model.build_model(torch.load(vit_path, weights_only=True)).float()
    tokens = clip.tokenize(TEXTS[:2])
    with torch.inference_mode():
        quick = model.encode_text(tokens)
        model.transformer.resblocks[3].mlp.gelu = torch.nn.GELU()
        expected = model.encode_text(tokens)
        assert not fast.is_close(expected, quick) and fast.is_close(fast.TextTower(model)(tokens), expected)


@pytest.mark.parametrize("fault", ["wrong numbers", "no oneDNN"])
def test_a_torch_without_the_product_does_without(fault, monkeypatch):
    if fault == "wrong numbers":
        monkeypatch.setattr(fast.FastLinear, "forward", lambda self, x: x * 0)
    else:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not fast.has_onednn.__wrapped__()


def test_folding_leaves_no_batch_norm(rn50_path):
    encoder = zsc.load_model(rn50_path, device="cpu")
    assert not [m for m in encoder.image_encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_batched_is_one_by_one(through_clip, pictures):
    batched = through_clip.encode_images(pictures, batch_size=4)
    np.testing.assert_allclose(batched, np.concatenate([through_clip.encode_images(p) for p in pictures]), atol=1e-5)
    rows = through_clip.encode_texts(TEXTS, batch_size=2)
    np.testing.assert_allclose(rows, np.concatenate([through_clip.encode_texts(t) for t in TEXTS]), atol=1e-5)


def test_shapes_types_and_unit_rows(through_clip, pictures):
    dim = {"RN50": 1024, "ViT-B-32": 512}[through_clip.name.split("/")[-1].removesuffix(".pt")]
    images, rows = through_clip.encode_images(pictures[:3]), through_clip.encode_texts(TEXTS)
    assert images.shape == (3, dim) and rows.shape == (5, dim) and through_clip.embed_dim == dim
    for embeddings in (images, rows):
        assert embeddings.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert through_clip.encode_images([]).shape == (0, dim) and through_clip.image_size == 224


def test_tokens_are_openais(through_clip, through_open_clip):
    texts = [*TEXTS, "don't STOP", "a" * 70, "🙂 émoji", "&amp; <html>", "  spaces \n and\tmore ", "1234567890"]
    expected = clip.tokenize(texts)
    for encoder in (through_clip, through_open_clip):
        assert torch.equal(encoder.tokenizer(texts), expected)
        long = ["word " * 200]
        assert torch.equal(encoder.tokenizer(long), clip.tokenize(long, truncate=True))


def test_a_text_over_the_limit(through_clip):
    text = " ".join(["dog"] * 74 + ["horse"] + ["cat"] * 10)
    with pytest.raises(TextTooLongError, match=r"'dog .*': 87 tokens, limit 77 .* cut after '\.\.\..* dog horse'"):
        through_clip.encode_texts(["fine", text])
    cut = through_clip.encode_texts([text], truncate=True)
    np.testing.assert_allclose(cut, through_clip.encode_texts([text + " and more"], truncate=True), atol=1e-6)


def test_fingerprints_tell_what_changes_an_embedding(path, through_clip, through_open_clip):
    again = zsc.load_model(path, device="cpu", library="clip")
    assert again.fingerprint == through_clip.fingerprint != through_open_clip.fingerprint
    for change in ({"weights_sha256": "0"}, {"precision": "float16"}, {"engine": "other"}):
        again.info = dataclasses.replace(through_clip.info, **change)
        again.__dict__.pop("fingerprint", None)
        assert again.fingerprint != through_clip.fingerprint
    again.info, again.transform = through_clip.info, dataclasses.replace(again.transform, interpolation="bilinear")
    again.__dict__.pop("fingerprint", None)
    assert again.fingerprint != through_clip.fingerprint


def test_the_models_own_scale(tmp_path, vit_path):
    state = torch.load(vit_path, weights_only=True)
    state["logit_scale"] = torch.tensor(14.3).log()
    torch.save(state, tmp_path / "mild.pt")
    encoder = zsc.load_model(tmp_path / "mild.pt", device="cpu")
    assert encoder.logit_scale == pytest.approx(14.3, rel=1e-4)


class TestLoading:
    def test_a_torchscript_archive(self, tmp_path, vit_path, pictures):
        module = torch.nn.Module()
        for name, value in torch.load(vit_path, weights_only=True).items():
            holder = module
            *parents, last = name.split(".")
            for parent in parents:
                if not hasattr(holder, parent):
                    holder.add_module(parent, torch.nn.Module())
                holder = getattr(holder, parent)
            holder.register_buffer(last, value)
        torch.jit.script(module).save(str(tmp_path / "archive.pt"))
        ours = zsc.load_model(tmp_path / "archive.pt", device="cpu").encode_images(pictures[:1])
        plain = zsc.load_model(vit_path, device="cpu").encode_images(pictures[:1])
        np.testing.assert_allclose(ours, plain, atol=1e-6)

    def test_wrapped_and_prefixed_state_dicts(self, tmp_path, vit_path):
        state = {f"module.{k}": v for k, v in torch.load(vit_path, weights_only=True).items()}
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pt")
        assert zsc.load_model(tmp_path / "w.pt", device="cpu").embed_dim == 512

    def test_missing_cut_short_and_foreign_files(self, tmp_path, vit_path):
        with pytest.raises(WeightsError, match=r"none\.pt: no such file"):
            zsc.load_model(tmp_path / "none.pt")
        (tmp_path / "cut.pt").write_bytes(vit_path.read_bytes()[:10_000_000])
        with pytest.raises(WeightsError, match=r"cut\.pt: not a checkpoint that can be read \(10,000,000 bytes"):
            zsc.load_model(tmp_path / "cut.pt")
        torch.save({"weight": torch.ones(3)}, tmp_path / "other.pt")
        with pytest.raises(WeightsError, match="no CLIP in OpenAI's format, it lacks logit_scale"):
            zsc.load_model(tmp_path / "other.pt")
        torch.save([1, 2], tmp_path / "list.pt")
        with pytest.raises(WeightsError, match="but a list; save the state_dict"):
            zsc.load_model(tmp_path / "list.pt")

    def test_a_pickle_that_runs_code_is_not_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "owned"), "w"))

        torch.save({"logit_scale": Evil()}, tmp_path / "evil.pt")
        with pytest.raises(WeightsError, match="it lacks positional_embedding"):
            zsc.load_model(tmp_path / "evil.pt")
        assert not (tmp_path / "owned").exists()

    @pytest.mark.parametrize("name", ["conse", "hf:x/y", "open_clip:RN50/openai"])
    def test_an_option_that_would_change_nothing_is_refused(self, name):
        with pytest.raises(ValueError, match="library='clip' is for checkpoints in OpenAI's format, not for"):
            zsc.load_model(name, device="cpu", library="clip")

    def test_unknown_names_and_options(self, vit_path):
        with pytest.raises(ValueError, match="no model 'ViT-B-32x'; a model must be one of auto, RN50, RN101"):
            zsc.load_model("ViT-B-32x")
        with pytest.raises(ValueError, match="device must be one of auto, cuda, mps, cpu"):
            zsc.load_model(vit_path, device="tpu")
        with pytest.raises(ValueError, match="float16' on the CPU"):
            zsc.load_model(vit_path, device="cpu", precision="float16")
        with pytest.raises(ValueError, match="precision must be one of auto, float32, float16, bfloat16, int8"):
            zsc.load_model(vit_path, device="cpu", precision="int4")
        with pytest.raises(ValueError, match="engine must be one of torch, openvino"):
            zsc.load_model(vit_path, engine="tensorrt")
        with pytest.raises(ValueError, match="library must be one of auto, clip, open_clip"):
            zsc.load_model(vit_path, device="cpu", library="timm")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that must be missing")
    def test_a_device_that_is_not_there(self, vit_path):
        with pytest.raises(ValueError, match="device='cuda' is not on this machine; it has cpu"):
            zsc.load_model(vit_path, device="cuda")


class TestLibraries:
    def test_openais_clip_is_preferred(self):
        assert openai_clip.choose_library() == "clip"

    def test_open_clip_where_clip_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "clip", None)
        assert openai_clip.choose_library() == "open_clip"

    def test_a_clip_that_is_another_package_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "clip", types.ModuleType("clip"))
        with pytest.raises(ImportError, match="the installed package clip is not OpenAI's"):
            openai_clip.choose_library("clip")

    def test_a_clip_that_fails_is_told(self, monkeypatch, caplog):
        def broken(name):
            raise ModuleNotFoundError("No module named 'regex'", name="regex")

        monkeypatch.setattr(openai_clip.importlib, "import_module", broken)
        with caplog.at_level(logging.INFO, logger="zsc"):
            assert openai_clip.choose_library() == "open_clip"
        assert re.search("cannot be imported .*regex.* Going on with open_clip", caplog.text)
        with pytest.raises(ImportError, match="cannot be imported .*regex.* Or use library='open_clip'"):
            openai_clip.choose_library("clip")


class TestPublishedWeights:
    def test_the_table_is_the_librarys(self):
        assert {n: f"{weights.BASE_URL}/{w.sha256}/{w.file}" for n, w in OPENAI_WEIGHTS.items()} == {
            n: u for n, u in clip.clip._MODELS.items() if n in OPENAI_WEIGHTS
        }
        assert set(OPENAI_WEIGHTS) == set(clip.available_models())
        assert zsc.available_models() == [*OPENAI_WEIGHTS, "conse", "toy"]

    @pytest.fixture
    def stand_in(self, monkeypatch, tmp_path, vit_path):
        """ViT-B/32 with the random checkpoint's checksum in the place of OpenAI's, and an empty weights folder."""
        sha256 = openai_clip.digest_of(vit_path)
        published = PublishedWeights("ViT-B-32.pt", sha256, 512, 224)
        monkeypatch.setitem(OPENAI_WEIGHTS, "ViT-B/32", published)
        monkeypatch.setenv("ZSC_WEIGHTS", str(tmp_path / "weights"))
        return tmp_path / "weights" / "ViT-B-32.pt"

    def test_loaded_by_name(self, stand_in, vit_path):
        stand_in.parent.mkdir()
        shutil.copy(vit_path, stand_in)
        encoder = zsc.load_model("ViT-B/32", device="cpu")
        assert encoder.name == "ViT-B/32" and encoder.info.library == "clip"
        assert encoder.info.weights_sha256 == OPENAI_WEIGHTS["ViT-B/32"].sha256
        assert zsc.models.auto_model()[0] == "ViT-B/32"

    def test_cut_short(self, stand_in, vit_path):
        stand_in.parent.mkdir()
        stand_in.write_bytes(vit_path.read_bytes()[:1_000_000])
        with pytest.raises(WeightsError, match=r"ViT-B-32\.pt: 1,000,000 bytes with sha256 .* cut short .*https://"):
            zsc.load_model("ViT-B/32", device="cpu")
        assert stand_in.stat().st_size == 1_000_000  # a user's file is never removed

    def test_no_network_and_the_two_ways_on(self, stand_in, monkeypatch):
        monkeypatch.setenv("ZSC_CLIP_URL", "http://127.0.0.1:9")
        with pytest.raises(
            WeightsError, match="no network.* Two ways on: .*put it at .*load_model\\('conse'\\)"
        ) as caught:
            zsc.load_model("ViT-B/32", device="cpu")
        for part in ("http://127.0.0.1:9", "ViT-B-32.pt", str(stand_in.parent)):
            assert part in str(caught.value)
        assert zsc.models.auto_model()[0] == "conse"

    def test_fetched_checked_and_loaded(self, stand_in, vit_path, monkeypatch):
        server = FileServer({f"/{OPENAI_WEIGHTS['ViT-B/32'].sha256}/ViT-B-32.pt": vit_path.read_bytes()})
        monkeypatch.setenv("ZSC_CLIP_URL", server.url)
        try:
            assert zsc.load_model("ViT-B/32", device="cpu").embed_dim == 512
        finally:
            server.close()
        assert stand_in.is_file()
