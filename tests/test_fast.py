"""The faster encoders are the library's own, or are not used; what a precision costs is told, or too much."""

import copy
import logging
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import open_clip
import pytest
import test_families
import torch

import zsc
from zsc.models import fast, openvino
from zsc.models.conse import ConseEncoder

pytestmark = pytest.mark.slow

PROMPTS = ["a cat", "a photo of a dog that sleeps in the sun", "", "dog " * 60]
SMALL = {  # open_clip's ways to build a tower: its own ViT and ResNet, timm's with SigLIP's head, a convolutional one
    "own": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
        "text_cfg": {"width": 64, "heads": 2, "layers": 2},
    },
    "resnet": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16},
        "text_cfg": {"width": 64, "heads": 2, "layers": 2},
    },
    "siglip": {
        "embed_dim": 32,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit3.r160_in1k",
            "timm_pool": "map",
            "timm_proj": "linear",
        },
        "text_cfg": {"width": 64, "heads": 2, "layers": 2, "no_causal_mask": True, "proj_bias": True,
                     "pool_type": "last"},
    },
    "convolutional": {
        "embed_dim": 32,
        "custom_text": True,
        "vision_cfg": {"image_size": 64, "timm_model_name": "fastvit_t8", "timm_pool": "avg", "timm_proj": "linear"},
        "text_cfg": {"width": 64, "heads": 2, "layers": 2, "no_causal_mask": True},
    },
}  # fmt: skip


def build(kind, **changes):
    torch.manual_seed(0)
    config = copy.deepcopy(SMALL[kind] | changes)
    model = (open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP)(**config).eval()
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_mean, -1, 1)  # else folding would change nothing
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    return model


def towers(model):
    return model.encode_image, model.encode_text


def examples(model):
    size = model.visual.image_size
    return fast.example_pixels(size if isinstance(size, int) else size[0]), open_clip.tokenize(fast.EXAMPLES)


def packed(encoder):
    module = getattr(encoder, "__self__", encoder)
    return sum(isinstance(m, fast.FastLinear) for m in module.modules())


needs_onednn = pytest.mark.skipif(not fast.has_onednn(), reason="this torch has no oneDNN for this CPU")


@needs_onednn
@pytest.mark.parametrize("kind", SMALL)
@torch.inference_mode()
def test_faster_is_the_librarys_own(kind, caplog):
    model = build(kind)
    images, texts = fast.faster(model, towers, examples(model), kind)
    assert not caplog.text and packed(images) >= 4 and packed(texts) >= 8
    pixels, tokens = torch.randn(3, *examples(model)[0].shape[1:]), open_clip.tokenize(PROMPTS)
    for ours, theirs in ((images(pixels), model.encode_image(pixels)), (texts(tokens), model.encode_text(tokens))):
        assert theirs.std() > 1e-3  # else anything would be equal
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
    norms = [m for m in images.__self__.visual.modules() if type(m) is torch.nn.BatchNorm2d]
    assert not norms or len(norms) < len([m for m in model.modules() if type(m) is torch.nn.BatchNorm2d])
    assert isinstance(texts, fast.TextTower) == (kind in ("own", "resnet"))


@needs_onednn
@pytest.mark.parametrize("activation", ["QuickGELU", "GELU", "tanh", "SiLU"])
@torch.inference_mode()
def test_every_activation_is_its_own(activation):
    model = build("own", quick_gelu=activation == "QuickGELU")
    for block in model.visual.transformer.resblocks:
        if activation == "tanh":
            block.mlp.gelu = torch.nn.GELU("tanh")
        elif activation == "SiLU":  # one that is not known stays where it is
            block.mlp.gelu = torch.nn.SiLU()
    pixels = examples(model)[0]
    expected = model.visual(pixels)
    ours = fast.lightened(copy.deepcopy(model.visual))
    is_fused = [isinstance(b.mlp.gelu, torch.nn.Identity) for b in ours.transformer.resblocks]
    assert all(is_fused) if activation != "SiLU" else not any(is_fused)
    assert fast.is_close(ours(pixels), expected)


@needs_onednn
@pytest.mark.parametrize("fault", ["wrong", "fails", "no number"])
@torch.inference_mode()
def test_an_encoder_that_differs_is_not_used_and_that_is_said(fault, monkeypatch, caplog):
    own = fast.FastLinear.forward

    def planted(self, x):
        if fault == "fails":
            raise RuntimeError("could not create a primitive")
        return own(self, x) * (1.0001 if fault == "wrong" else float("nan"))

    monkeypatch.setattr(fast.FastLinear, "forward", planted)
    model = build("own")
    pixels, tokens = examples(model)
    with caplog.at_level(logging.WARNING, logger="zsc"):
        images, texts = fast.faster(model, towers, (pixels, tokens), "planted")
    for kind in ("image", "text"):
        assert f"planted: the faster {kind} encoder is not the library's own (" in caplog.text
    assert not packed(images) and not packed(texts)
    assert torch.equal(images(pixels), model.encode_image(pixels)) and torch.isfinite(texts(tokens)).all()


@needs_onednn
@torch.inference_mode()
def test_a_text_that_reads_another_token_is_not_cut():
    """Where the last token is read, or a token sees those after it, what follows the longest text matters."""
    for change in ({"pool_type": "last"}, {"no_causal_mask": True}):
        model = build("own", text_cfg=SMALL["own"]["text_cfg"] | change)
        texts = fast.faster(model, towers, examples(model), "x")[1]
        assert not isinstance(texts, fast.TextTower)
        tokens = open_clip.tokenize(PROMPTS)
        assert fast.is_close(texts(tokens), model.encode_text(tokens))


@pytest.fixture(scope="module", params=["siglip", "metaclip_2", "clip", "open_clip"])
def small(request, tmp_path_factory, small_hf_folder):
    """The name of a small model on disk."""
    folder = tmp_path_factory.mktemp("small")
    if request.param == "clip":
        return f"hf:{small_hf_folder}"
    torch.manual_seed(0)
    if request.param == "open_clip":
        torch.save(open_clip.create_model("ViT-S-32-alt").eval().state_dict(), folder / "w.pt")
        return f"open_clip:ViT-S-32-alt/{folder / 'w.pt'}"
    for part in getattr(test_families, request.param)(folder):
        part.save_pretrained(folder)
    return f"hf:{folder}"


def test_openvino_serves_every_route(small, pictures):
    pytest.importorskip("openvino")
    own, other = (zsc.load_model(small, device="cpu", engine=engine) for engine in ("torch", "openvino"))
    assert other.info.engine == "openvino" and other.fingerprint != own.fingerprint
    expected = own.encode_images(pictures)
    np.testing.assert_allclose(other.encode_images(pictures), expected, atol=1e-4)
    np.testing.assert_allclose(other.encode_texts(PROMPTS[:2]), own.encode_texts(PROMPTS[:2]), atol=1e-5)
    sent = pickle.loads(pickle.dumps(other))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(sent.encode_images, [[p] for p in pictures]))
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-4)
    again = pickle.loads(pickle.dumps(own))
    np.testing.assert_allclose(again.encode_images(pictures), expected, atol=1e-6)
    if fast.has_onednn():
        assert packed(getattr(own.image_encoder, "func", None) and own.image_encoder.args[0] or own.image_encoder)


def test_signals_are_handled_after_openvino_models_went_in_any_order():
    pytest.importorskip("openvino")
    lines = (
        "import faulthandler, gc, signal; faulthandler.enable()",
        "import torch; from zsc.models.openvino import OpenVinoEncoder, converted",
        "handled = []; signal.signal(signal.SIGTERM, lambda *_: handled.append(1))",
        "made = [OpenVinoEncoder(converted(torch.nn.Flatten(), 8)) for _ in range(4)]",
        "for i in (1, 3, 0, 2): made[i] = None; gc.collect(); signal.raise_signal(signal.SIGTERM)",
        "assert len(handled) == 4",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_openvino_serves_conse(conse, pictures):
    pytest.importorskip("openvino")
    other = zsc.load_model("conse", device="cpu", engine="openvino")
    assert isinstance(other, ConseEncoder) and other.fingerprint != conse.fingerprint
    np.testing.assert_allclose(other.encode_images(pictures[:4]), conse.encode_images(pictures[:4]), atol=1e-4)


class TestPrecision:
    @pytest.fixture(scope="class")
    def drawn(self):
        return zsc.load_dataset("drawn-animals", n=32, seed=5)

    @pytest.fixture
    def any_processor(self, monkeypatch, tmp_path):
        pytest.importorskip("nncf")
        monkeypatch.setattr(openvino, "cpu_flags", lambda: {"avx512_vnni", "avx512_bf16"})
        monkeypatch.setenv("ZSC_WEIGHTS", str(tmp_path))

    def test_precisions_never_mix_and_say_their_loss(
        self, any_processor, drawn, tmp_path, monkeypatch, small_hf_folder
    ):
        name, load = f"hf:{small_hf_folder}", zsc.load_model
        monkeypatch.setattr(openvino, "LIMIT", 0.8)  # the smallest of random towers loses more than any trained one
        whole, half = load(name, "cpu", engine="openvino"), load(name, "cpu", precision="bfloat16")
        told = []
        monkeypatch.setattr(logging.getLogger("zsc"), "info", lambda line, *parts: told.append(line % parts))
        eight = load(name, "cpu", precision="int8", calibrate=drawn)
        assert told == [f"{name} in int8: {eight.info.loss}."]
        assert eight.info.loss.startswith("to float32 on 16 pictures: cosine ") and len(eight.info.calibration) == 16
        assert re.search(r"\d+ answers changed among 14 classes$", eight.info.loss)
        assert half.info.loss.startswith("to float32 on 64 drawings: cosine ") and not half.info.calibration
        other = load(name, "cpu", precision="int8", calibrate=drawn.paths[::-1])
        encoders = (load(name, "cpu"), whole, half, eight, other)
        assert len({e.fingerprint for e in encoders}) == 5
        assert [e.info.precision for e in encoders] == ["float32", "float32", "bfloat16", "int8", "int8"]
        exact, found = whole.encode_images(drawn.paths), eight.encode_images(drawn.paths)
        assert not np.array_equal(exact, found) and openvino.compared(exact, found)[1].mean() > 0.95
        np.testing.assert_array_equal(eight.encode_texts(["a cat"]), whole.encode_texts(["a cat"]))
        assert len(list((tmp_path / "int8").iterdir())) == 2

    def test_what_was_quantised_is_kept(self, any_processor, drawn, tmp_path, small_hf_folder, monkeypatch):
        name = f"hf:{small_hf_folder}"
        first = zsc.load_model(name, "cpu", "int8", calibrate=drawn)
        import nncf

        monkeypatch.setattr(nncf, "quantize", None)  # is not needed again
        again = zsc.load_model(name, "cpu", "int8", calibrate=drawn.paths)
        assert again.fingerprint == first.fingerprint
        np.testing.assert_array_equal(again.encode_images(drawn.paths[:3]), first.encode_images(drawn.paths[:3]))
        (kept,) = (tmp_path / "int8").glob("*/model.xml")
        kept.write_text("<?xml")
        with pytest.raises(zsc.models.WeightsError, match="a damaged model in int8; remove this folder"):
            zsc.load_model(name, "cpu", "int8", calibrate=drawn)

    def test_a_loss_that_is_too_much_is_refused(self, any_processor, drawn, small_hf_folder, monkeypatch):
        own = openvino.OpenVinoEncoder.__call__

        def planted(self, pixels):
            out = own(self, pixels)
            noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
            return out + 0.3 * out.std(dim=0, keepdim=True) * noise  # little beside a common direction

        monkeypatch.setattr(openvino.OpenVinoEncoder, "__call__", planted)
        with pytest.raises(ValueError, match=r"loses too much in int8 \(.*centred one must be 0.99 or more\); use"):
            zsc.load_model(f"hf:{small_hf_folder}", "cpu", "int8", calibrate=drawn)

    def test_the_plain_cosine_would_not_have_seen_it(self):
        rng = np.random.default_rng(0)
        exact = 10 + rng.normal(size=(64, 8))
        plain, centred = openvino.compared(exact, 10 + rng.normal(size=(64, 8)))
        assert plain.min() > 0.95 and abs(centred.mean()) < 0.3

    @pytest.mark.parametrize("precision", ["int8", "bfloat16"])
    def test_a_processor_without_it(self, precision, monkeypatch):
        monkeypatch.setattr(openvino, "cpu_flags", lambda: frozenset({"avx2", "fma"}))
        said = f"precision='{precision}' needs a processor with .*, which this one does not report; use precision='flo"
        with pytest.raises(ValueError, match=said):
            zsc.load_model("conse", "cpu", precision, calibrate=[None] * 20)

    def test_what_is_missing_or_too_few(self, any_processor, small_hf_folder, drawn):
        name = f"hf:{small_hf_folder}"
        with pytest.raises(ValueError, match="'int8' is calibrated on pictures; pass calibrate=dataset.paths"):
            zsc.load_model(name, "cpu", "int8")
        with pytest.raises(ValueError, match="calibrate holds 15 pictures; pass 16 or more"):
            zsc.load_model(name, "cpu", "int8", calibrate=drawn.paths[:15])
        with pytest.raises(ValueError, match="calibrate is for precision='int8' and 'bfloat16'; leave it out"):
            zsc.load_model(name, "cpu", calibrate=drawn)


@pytest.mark.parametrize("n", [1, 5, 32, 33, 100])
def test_a_step_is_the_encoders_business(n, colours):
    """Pictures go through `step` at a time, whatever the batch; the rows are the same and in order."""
    pixels = np.random.default_rng(0).random((n, 3, 8, 8), np.float32)
    rows = colours.encode_pixels(pixels)
    assert colours.image_batches == [32] * (n // 32) + [n % 32] * bool(n % 32)
    colours.step = 4
    np.testing.assert_allclose(colours.encode_pixels(pixels), rows, atol=1e-7)
    assert colours.image_batches[-1] == n % 4 or 4


def test_the_architecture_sets_the_step(conse):
    assert conse.step == 4 == fast.step_of(build("convolutional").visual) and fast.step_of(build("own").visual) == 32
