"""open_clip's models: every published pair is computed as it was trained, or refused with the right name."""

import json
import warnings

import numpy as np
import open_clip
import pytest
import torch
import transformers
from open_clip.pretrained import _PRETRAINED
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from test_families import fast_tokenizer

import zsc
from benchmarks.checkpoints import hugging_face_state, save_hugging_face
from zsc.models import open_clip as route
from zsc.models.transforms import ImageTransform
from zsc.models.weights import WeightsError

PAIRS = [(arch, tag) for arch, tags in _PRETRAINED.items() for tag in tags]
TEXTS = ["a photo of a cat", "An English Springer, “curly”.", "naïve &amp; CAFÉ_au_lait", "dog " * 90, ""]
PACKAGED = [
    a for a in open_clip.list_models() if not open_clip.get_model_config(a)["text_cfg"].get("hf_tokenizer_name")
]


def test_every_pair_computes_the_activation_of_its_training_or_is_refused():
    """open_clip itself goes on with a warning. Where ARCH has no twin, its configuration is the publisher's."""
    refused = set()
    for arch, tag in PAIRS:
        trained, computed = (
            bool(config.get("quick_gelu"))
            for config in (open_clip.get_pretrained_cfg(arch, tag), open_clip.get_model_config(arch))
        )
        try:
            assert route.parse_name(f"{arch}/{tag}") == (arch, tag, "")
            assert trained == computed or arch == "roberta-ViT-B-32", (arch, tag)
        except ValueError as error:
            refused.add((arch, tag))
            right = str(error).partition("load 'open_clip:")[2].partition("'")[0]
            other = right.partition("/")[0]
            assert trained != computed and route.parse_name(right) == (other, tag, "")
            assert bool(open_clip.get_model_config(other).get("quick_gelu")) == trained
    assert len(refused) == 27 and len(PAIRS) == 196
    with pytest.raises(ValueError, match=r"load 'open_clip:ViT-B-32-quickgelu/openai', or OpenAI's own as"):
        zsc.load_model("open_clip:ViT-B-32/openai", device="cpu")


def test_the_pixels_of_every_pair_are_open_clips_own(pictures):
    """One comparison per way of preparing pictures and size that any pair has."""
    ways = {}
    for arch, tag in PAIRS:
        size = open_clip.get_model_config(arch)["vision_cfg"]["image_size"]
        default = vars(PreprocessCfg()) | {"size": size}
        way = merge_preprocess_dict(default, open_clip.get_pretrained_cfg(arch, tag))
        ways.setdefault(repr(sorted(way.items())), way)
    assert len(ways) > 10
    for way in ways.values():
        compose = image_transform_v2(PreprocessCfg(**way), is_train=False)
        transform = route._as_transform(way, compose)
        assert isinstance(transform, ImageTransform), way
        for picture in pictures[:2]:
            np.testing.assert_array_equal(transform(picture), compose(picture.convert("RGB")).numpy(), err_msg=str(way))


@pytest.mark.parametrize("is_packaged", [True, False])
def test_the_tokens_of_every_architecture_are_open_clips_own(is_packaged, monkeypatch):
    """Tokenizers that only the hub has are stood in for by one of ours; the wrapping around them is open_clip's."""
    monkeypatch.setattr(
        transformers.AutoTokenizer,
        "from_pretrained",
        lambda *a, **k: fast_tokenizer(["a", "photo", "of", "cat"], cls_token="<s>", sep_token="</s>"),
    )
    done = set()
    for arch in open_clip.list_models():
        text = open_clip.get_model_config(arch)["text_cfg"]
        options = repr(
            [text.get(k) for k in ("context_length", "hf_tokenizer_name", "tokenizer_kwargs", "tokenizer_mode")]
        )
        if (arch in PACKAGED) != is_packaged or options in done:
            continue
        done.add(options)
        ours, theirs = route._tokenizer(arch), open_clip.get_tokenizer(arch)
        np.testing.assert_array_equal(ours(TEXTS), theirs(TEXTS), err_msg=arch)
        assert ours.limit == theirs(TEXTS).shape[1] == theirs.context_length
    assert len(done) > 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "arch",
    [
        "ViT-S-32-alt",
        "ViT-B-32",
        "ViT-B-32-quickgelu",
        "PE-Core-T-16-384",
        "MobileCLIP2-S0",
        "EVA02-B-16",
        "coca_ViT-B-32",
        "ViT-B-16-SigLIP",
    ],
)
@torch.inference_mode()
def test_a_weights_file_is_computed_as_its_tags_are(arch, tmp_path, pictures, monkeypatch):
    """Random weights of the full size; the preprocessing is the tags', which open_clip leaves out for a file."""
    if arch not in PACKAGED:
        monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *a, **k: fast_tokenizer())
    torch.manual_seed(0)
    tags = [tag for tag in open_clip.list_pretrained_tags_by_model(arch) if route.parse_name(f"{arch}/x.pt")]
    published = open_clip.get_pretrained_cfg(arch, tags[-1]) if tags else {}
    model = open_clip.create_model(
        arch, force_preprocess_cfg={k: v for k, v in published.items() if k in PREPROCESSING}
    )
    for tensor in model.state_dict().values():  # coca's projection is memory that nobody has filled
        if tensor.is_floating_point():
            tensor.nan_to_num_(posinf=0, neginf=0).clamp_(-1e3, 1e3)
    torch.save(model.eval().state_dict(), tmp_path / "w.pt")
    compose = image_transform_v2(PreprocessCfg(**open_clip.get_model_preprocess_cfg(model)), is_train=False)
    pixels = torch.stack([compose(picture) for picture in pictures[:3]])
    tokens = open_clip.get_tokenizer(arch)(TEXTS)
    encoder = zsc.load_model(f"open_clip:{arch}/{tmp_path / 'w.pt'}", device="cpu")
    np.testing.assert_array_equal(np.stack([encoder.transform(p) for p in pictures[:3]]), pixels.numpy())
    np.testing.assert_allclose(
        encoder.encode_images(pictures[:3]), model.encode_image(pixels, normalize=True).numpy(), atol=1e-5
    )
    texts = model.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_texts(TEXTS, truncate=True), texts, atol=1e-5)
    assert encoder.info.activation == ("QuickGELU" if "quickgelu" in arch else "the architecture's own")


@pytest.mark.slow
def test_the_snippet_that_found_it(tmp_path):
    """A file of PE-Core had OpenAI's preprocessing, in silence."""
    name = "PE-Core-T-16-384"
    torch.save(open_clip.create_model(name).state_dict(), tmp_path / "pe.pt")
    transform = zsc.load_model(f"open_clip:{name}/{tmp_path / 'pe.pt'}", device="cpu").transform
    published = open_clip.get_pretrained_cfg(name, "meta")
    assert (transform.mean, transform.std) == (tuple(published["mean"]), tuple(published["std"])) == ((0.5,) * 3,) * 2
    assert (transform.mode, transform.interpolation) == ("squash", "bilinear")
    assert (transform.mode, transform.interpolation) == (published["resize_mode"], published["interpolation"])


PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


@pytest.mark.parametrize("arch", ["ViT-L-14", "ViT-H-14-quickgelu"])
def test_a_file_that_could_be_preprocessed_in_two_ways_is_refused(arch):
    with pytest.raises(
        ValueError, match=rf"different preprocessing; say which.*'open_clip:{arch}/TAG/FILE' with the TAG"
    ):
        zsc.load_model(f"open_clip:{arch}/mine.pt", device="cpu")
    assert route.parse_name("ViT-L-14/laion2b_s32b_b82k/mine.pt") == ("ViT-L-14", "laion2b_s32b_b82k", "mine.pt")
    assert route.preprocessing("ViT-L-14", "laion2b_s32b_b82k")["mean"] == (0.5, 0.5, 0.5)
    assert route.preprocessing("ViT-L-14", "datacomp_xl_s13b_b90k")["mean"][0] < 0.49


@pytest.fixture
def folder(tmp_path):
    """A small SigLIP with a configuration of its own, as open_clip pushes models to the hub."""
    text = {"context_length": 16, "vocab_size": 40, "width": 32, "heads": 2, "layers": 2, "hf_tokenizer_name": "mine"}
    config = {
        "embed_dim": 24,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": text | {"tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True, "pool_type": "last"},
    }
    way = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"}
    write_config(tmp_path, {"model_cfg": config, "preprocess_cfg": way})
    fast_tokenizer(["a", "photo", "of", "cat"]).save_pretrained(tmp_path)
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(**{key: value for key, value in config.items() if key != "custom_text"})
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    return tmp_path


def write_config(path, content):
    (path / "open_clip_config.json").write_text(json.dumps(content))


@torch.inference_mode()
def test_the_two_routes_agree_on_a_clip(tmp_path, pictures):
    """The same weights as a folder of open_clip and one of transformers: tokens, pixels, scale, embeddings."""
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text, "quick_gelu": True}
    torch.manual_seed(0)
    model = open_clip.CLIP(**config).eval()
    (tmp_path / "oc").mkdir()
    (tmp_path / "hf").mkdir()
    write_config(tmp_path / "oc", {"model_cfg": config, "preprocess_cfg": {}})
    torch.save(model.state_dict(), tmp_path / "oc/open_clip_pytorch_model.bin")
    size = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1}
    ends = {"eos_token_id": 49407, "bos_token_id": 49406}
    sides = {"image_size": 32, "patch_size": 8}
    hf_config = transformers.CLIPConfig(text_config=size | ends, vision_config=size | sides, projection_dim=32)
    twin = transformers.CLIPModel(hf_config)
    state = {k: v for k, v in model.state_dict().items() if k != "attn_mask"}
    missing, unexpected = twin.load_state_dict(hugging_face_state(state), strict=False)
    assert not unexpected and all(key.endswith("position_ids") for key in missing)
    save_hugging_face(twin, tmp_path / "hf")
    agree(f"open_clip:local-dir:{tmp_path / 'oc'}", f"hf:{tmp_path / 'hf'}", pictures)


def agree(name, other, pictures):
    one, two = (zsc.load_model(n, device="cpu") for n in (name, other))
    ids = [e.tokenizer(TEXTS) for e in (one, two)]
    ids = [np.asarray(i if isinstance(i, torch.Tensor) else i["input_ids"]) for i in ids]
    for ours, theirs in zip(*ids, strict=True):  # after the end of a CLIP's text is padding, which is not read
        length = int(ours.argmax()) + 1 if one.info.head == "softmax" else len(ours)
        np.testing.assert_array_equal(ours[:length], theirs[:length])
    np.testing.assert_allclose(
        one.encode_texts(TEXTS, truncate=True), two.encode_texts(TEXTS, truncate=True), atol=1e-5
    )
    small = [picture.resize((32, 32)) for picture in pictures]
    pixels = np.stack([one.transform(picture) for picture in small])
    np.testing.assert_allclose(pixels, np.stack([two.transform(picture) for picture in small]), atol=1e-6)
    np.testing.assert_allclose(one.encode_pixels(pixels), two.encode_pixels(pixels), atol=1e-5)
    for picture in pictures[:5]:  # resized equally to a step of 256; transformers rounds half a pixel of a crop down
        ours, theirs = one.transform(picture), two.transform(picture)
        shifted = [np.abs(np.roll(ours, by, axis=2) - theirs)[:, :, 1:].max() for by in (0, 1)]
        assert min(shifted) < 0.016, (picture.size, shifted)
    assert one.logit_scale == pytest.approx(two.logit_scale, rel=1e-6)
    assert (one.info.logit_bias is None) == (two.info.logit_bias is None)


class TestFolder:
    @torch.inference_mode()
    def test_it_brings_pixels_tokens_and_head(self, folder, pictures):
        encoder = zsc.load_model(f"open_clip:local-dir:{folder}", device="cpu")
        model, compose = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        images = model.eval().encode_image(torch.stack([compose(p) for p in pictures]), normalize=True)
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["A photo of a CAT.", "cat"])
        np.testing.assert_allclose(encoder.encode_images(pictures), images.numpy(), atol=1e-5)
        np.testing.assert_allclose(
            encoder.encode_texts(["A photo of a CAT.", "cat"]),
            model.encode_text(tokens, normalize=True).numpy(),
            atol=1e-5,
        )
        assert encoder.info.head == "sigmoid" and encoder.info.logit_bias == pytest.approx(-10)
        assert "mean=(0.5, 0.5, 0.5)" in encoder.info.pixels and "canonicalize" in encoder.info.text

    def test_without_weights_it_is_refused(self, folder):
        (folder / "open_clip_pytorch_model.bin").unlink()
        with pytest.raises(WeightsError, match="could not be loaded"):
            zsc.load_model(f"open_clip:local-dir:{folder}", device="cpu")

    def test_code_that_it_asks_for_is_refused(self, folder):
        content = json.loads((folder / "open_clip_config.json").read_text())
        content["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["trust_remote_code"] = True
        write_config(folder, content)
        with pytest.raises(WeightsError, match="asks for trust_remote_code, which zsc does not do"):
            zsc.load_model(f"open_clip:local-dir:{folder}", device="cpu")

    def test_everything_that_differs_is_in_the_fingerprint(self, folder):
        found = {zsc.load_model(f"open_clip:local-dir:{folder}", device="cpu").fingerprint}
        content = json.loads((folder / "open_clip_config.json").read_text())
        changes = (
            lambda c: c["preprocess_cfg"].update(mean=[0.4, 0.5, 0.5]),
            lambda c: c["preprocess_cfg"].update(interpolation="bicubic"),
            lambda c: c["preprocess_cfg"].update(resize_mode="shortest"),
            lambda c: c["model_cfg"].update(quick_gelu=True),
            lambda c: c["model_cfg"]["text_cfg"]["tokenizer_kwargs"].update(clean="lower"),
            lambda c: c["model_cfg"]["text_cfg"].update(context_length=16, no_causal_mask=False),
        )
        for number, change in enumerate(changes, 2):
            changed = json.loads(json.dumps(content))
            change(changed)
            write_config(folder, changed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.add(zsc.load_model(f"open_clip:local-dir:{folder}", device="cpu").fingerprint)
            assert len(found) == number, changed

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(WeightsError, match="could not be loaded .*No such file"):
            zsc.load_model(f"open_clip:local-dir:{tmp_path / 'none'}", device="cpu")


def test_a_picture_has_the_size_that_the_model_takes():
    """What a file's preprocessing says of sizes is the default's, not the model's."""
    assert "size" not in route.preprocessing("PE-Core-T-16-384")
    transform = route._as_transform(route.preprocessing("PE-Core-T-16-384") | {"size": 384}, None)
    assert transform(Image.new("RGB", (50, 40))).shape == (3, 384, 384)
