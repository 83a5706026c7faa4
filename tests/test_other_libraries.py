"""open_clip and transformers: equal to a direct use of each, and to OpenAI's code on the same weights."""

import argparse
import json
import pickle
import shutil

import clip
import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import zsc
from benchmarks.checkpoints import hugging_face_folder
from zsc.models.base import TextTooLongError
from zsc.models.transforms import ImageTransform, LibraryTransform
from zsc.models.weights import WeightsError

pytestmark = pytest.mark.slow

TEXTS = ["a photo of a cat", "a photo of a wild animal", "naïve café", "dog " * 60]


@pytest.fixture(scope="session")
def hf_folder(vit_path, tmp_path_factory):
    """ViT-B/32 with the random checkpoint's weights as a local transformers folder, tokenizer and processor with it."""
    return hugging_face_folder(vit_path, tmp_path_factory.mktemp("hf"))


@pytest.fixture(scope="session")
def through_hf(hf_folder):
    return zsc.load_model(f"hf:{hf_folder}", device="cpu")


def plain(output):
    return output if isinstance(output, torch.Tensor) else output.pooler_output


class TestHuggingFace:
    @torch.inference_mode()
    def test_equal_to_a_direct_use(self, hf_folder, through_hf, pictures):
        model = transformers.CLIPModel.from_pretrained(hf_folder).eval()
        processor = transformers.CLIPProcessor.from_pretrained(hf_folder)
        images = plain(model.get_image_features(**processor(images=pictures, return_tensors="pt")))
        tokens = processor(text=TEXTS, return_tensors="pt", padding=True, truncation=True)
        texts = plain(model.get_text_features(**tokens))
        images, texts = (torch.nn.functional.normalize(e).numpy() for e in (images, texts))
        np.testing.assert_allclose(through_hf.encode_images(pictures), images, atol=1e-5)
        np.testing.assert_allclose(through_hf.encode_texts(TEXTS), texts, atol=1e-5)
        assert through_hf.logit_scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)

    def test_equal_to_openais_code_on_the_same_weights(self, through_hf, vit_path, pictures):
        openai = zsc.load_model(vit_path, device="cpu", library="clip")
        np.testing.assert_allclose(through_hf.encode_texts(TEXTS), openai.encode_texts(TEXTS), atol=1e-5)
        pixels = [openai.transform(p) for p in pictures]
        np.testing.assert_allclose(through_hf.encode_pixels(pixels), openai.encode_pixels(pixels), atol=1e-5)

    def test_what_it_says_of_itself(self, through_hf):
        assert through_hf.info.library == "transformers" and through_hf.embed_dim == 512
        assert through_hf.image_size == 224 and through_hf.info.context_length == 77

    def test_the_transform_is_picklable(self, through_hf, pictures):
        again = pickle.loads(pickle.dumps(through_hf.transform))
        np.testing.assert_array_equal(again(pictures[0]), through_hf.transform(pictures[0]))

    def test_a_text_over_the_limit(self, through_hf):
        with pytest.raises(TextTooLongError, match=r"92 tokens, limit 77 .* cut after '\.\.\..*dog'"):
            through_hf.encode_texts(["dog " * 90])
        assert through_hf.encode_texts(["dog " * 90], truncate=True).shape == (1, 512)

    def test_not_here_and_no_network(self, tmp_path):
        with pytest.raises(WeightsError, match="hf:nobody/nothing: not on this machine .* Two ways on: .*conse"):
            zsc.load_model("hf:nobody/nothing", device="cpu")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda s: s.pop("visual_projection.weight"), r"missing weights: visual_projection\.weight"),
            (lambda s: s.pop("logit_scale"), "missing weights: logit_scale"),
            (lambda s: s.update({"head.weight": torch.ones(2)}), r"unexpected weights: head\.weight"),
            (
                lambda s: s.update({"text_projection.weight": torch.ones(3, 3)}),
                r"mismatched weights: text_projection\.weight",
            ),
            (lambda s: s["text_projection.weight"].mul_(float("nan")), r"text_projection\.weight are not finite"),
            (lambda s: s["logit_scale"].fill_(200.0), "makes no finite scale"),
        ],
    )
    def test_weights_that_are_not_the_models_are_refused(self, change, sentence, small_hf_folder, tmp_path, capfd):
        folder = shutil.copytree(small_hf_folder, tmp_path / "copy")
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(WeightsError, match=sentence) as caught:
            zsc.load_model(f"hf:{folder}", device="cpu")
        assert "\n" not in str(caught.value) and capfd.readouterr() == ("", "")

    def test_no_code_of_a_repository_is_run_and_nothing_is_asked(self, small_hf_folder, tmp_path, capfd, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda *a: pytest.fail("the user was asked"))
        folder = shutil.copytree(small_hf_folder, tmp_path / "copy")
        code = f"open({str(tmp_path / 'owned')!r}, 'w')"
        for name, keys in {
            "config.json": ("AutoConfig", "AutoModel"),
            "preprocessor_config.json": ("AutoImageProcessor",),
            "tokenizer_config.json": ("AutoTokenizer",),
        }.items():
            config = json.loads((folder / name).read_text())
            config["auto_map"] = {key: "evil.Evil" if key != "AutoTokenizer" else ["evil.Evil", None] for key in keys}
            (folder / name).write_text(json.dumps(config))
        (folder / "evil.py").write_text(code)
        zsc.load_model(f"hf:{folder}", device="cpu")  # all of it is a CLIP that transformers knows
        config = json.loads((folder / "config.json").read_text()) | {"model_type": "its-own"}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(WeightsError, match="hf:.*could not be loaded .*Two ways on"):
            zsc.load_model(f"hf:{folder}", device="cpu")
        assert capfd.readouterr() == ("", "") and not (tmp_path / "owned").exists()

    @pytest.mark.parametrize("content", [b"", b"{", b'{"model_type": "clip"}', b"[1]"])
    def test_a_folder_that_is_no_model_is_told(self, content, small_hf_folder, tmp_path):
        folder = shutil.copytree(small_hf_folder, tmp_path / "copy")
        (folder / "config.json").write_bytes(content)
        with pytest.raises(WeightsError, match=r"hf:.*(could not be loaded|weights)") as caught:
            zsc.load_model(f"hf:{folder}", device="cpu")
        assert "\n" not in str(caught.value)

    def test_one_encoder_only_is_no_clip(self, tmp_path):
        size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
        transformers.BertModel(transformers.BertConfig(vocab_size=10, **size)).save_pretrained(tmp_path)
        with pytest.raises(WeightsError, match="is of the type bert; zsc computes clip, "):
            zsc.load_model(f"hf:{tmp_path}", device="cpu")

    def test_the_fingerprint_holds_the_architecture_and_no_path(self, small_hf_folder, tmp_path):
        model = zsc.load_model(f"hf:{small_hf_folder}", device="cpu")
        moved = zsc.load_model(f"hf:{shutil.copytree(small_hf_folder, tmp_path / 'elsewhere')}", device="cpu")
        assert moved.fingerprint == model.fingerprint
        for key, value in {"hidden_act": "gelu", "num_attention_heads": 4, "layer_norm_eps": 1e-3}.items():
            folder = shutil.copytree(small_hf_folder, tmp_path / key)
            config = json.loads((folder / "config.json").read_text())
            config["vision_config"][key] = value
            (folder / "config.json").write_text(json.dumps(config))
            other = zsc.load_model(f"hf:{folder}", device="cpu")
            assert other.info.weights_sha256 == model.info.weights_sha256
            assert other.fingerprint != model.fingerprint, key

    def test_texts_for_clips_tokenizer_are_cleaned_as_openais(self, small_hf_folder):
        encoder = zsc.load_model(f"hf:{small_hf_folder}", device="cpu")
        texts = [
            "rock &amp;amp; roll",
            "“curly” it’s",
            "ﬁne ﬂour",
            "schÃ¶n",
            "a\u00a0cat \n\t dog",
            "naïve CAFÉ",
            "&lt;b&gt;",
        ]
        for text in [*texts, *plain_texts()]:
            ours, openais = encoder.tokenizer([text])["input_ids"][0], clip.tokenize([text], truncate=True)[0]
            assert ours.tolist() == openais[: len(ours)].tolist() and not openais[len(ours) :].any(), text
            assert encoder.tokenizer.count(text) == len(ours) or len(ours) == 77

    def test_siglip_pads_every_text_to_the_limit(self, tmp_path, pictures):
        small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        torch.manual_seed(0)
        text = small | {"vocab_size": 40, "max_position_embeddings": 16}
        model = transformers.SiglipModel(
            transformers.SiglipConfig(text_config=text, vision_config=small | {"image_size": 32, "patch_size": 8})
        ).eval()
        model.save_pretrained(tmp_path)
        transformers.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
        tokenizer = word_tokenizer(["a", "photo", "of", "cat", "dog"])
        tokenizer.save_pretrained(tmp_path)
        encoder = zsc.load_model(f"hf:{tmp_path}", device="cpu")
        texts = ["a photo of a cat", "dog"]
        with torch.inference_mode():
            tokens = tokenizer(texts, padding="max_length", max_length=16, return_tensors="pt")["input_ids"]
            expected = torch.nn.functional.normalize(plain(model.get_text_features(input_ids=tokens))).numpy()
        np.testing.assert_allclose(encoder.encode_texts(texts), expected, atol=1e-5)
        assert encoder.encode_images(pictures[:2]).shape == (2, 32) and encoder.embed_dim == 32


def plain_texts(n=200):
    rng = np.random.default_rng(1)
    letters = list("abcXYZ éèüñß 🙂👨‍👩‍👧 東京写 соб!?.,;:'\"()-&<>012 \u2019\u201c\ufb01")
    return ["".join(rng.choice(letters, size=rng.integers(1, 60))) for _ in range(n)]


def word_tokenizer(words):
    """A real tokenizer of transformers with a word a token."""
    import tokenizers

    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: i for i, w in enumerate(["[UNK]", "[PAD]", *words])}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", model_input_names=["input_ids"]
    )


class TestOpenClip:
    @pytest.fixture(scope="class")
    def weights(self, tmp_path_factory):
        """RN50-size random weights would add nothing here: the smallest architecture that open_clip lists."""
        path = tmp_path_factory.mktemp("oc") / "random.pt"
        torch.manual_seed(1)
        torch.save(open_clip.create_model("ViT-S-32-alt").state_dict(), path)
        return path

    @torch.inference_mode()
    def test_equal_to_a_direct_use(self, weights, pictures):
        encoder = zsc.load_model(f"open_clip:ViT-S-32-alt/{weights}", device="cpu")
        model, preprocess = open_clip.create_model_from_pretrained("ViT-S-32-alt", pretrained=str(weights))
        images = model.eval().encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer("ViT-S-32-alt")(TEXTS), normalize=True)
        np.testing.assert_allclose(encoder.encode_images(pictures), images.numpy(), atol=1e-5)
        np.testing.assert_allclose(encoder.encode_texts(TEXTS), texts.numpy(), atol=1e-5)
        assert encoder.logit_scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)
        assert encoder.embed_dim == images.shape[1] == 256
        assert isinstance(encoder.transform, ImageTransform)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("open_clip:ViT-Z-9/openai", "open_clip has no architecture 'ViT-Z-9'"),
            ("open_clip:ViT-B-32", "names no weights; write 'open_clip:ViT-B-32/TAG' with laion2b_e16, laion2b_s34b"),
            ("open_clip:ViT-B-32/laion9", "open_clip has no weights 'laion9' for ViT-B-32; use one of laion2b_e16"),
        ],
    )
    def test_unknown_names(self, name, reason):
        with pytest.raises(ValueError, match=reason):
            zsc.load_model(name, device="cpu")

    def test_openais_own_files_load_by_their_path(self, tmp_path):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "archive.pt"))
        with pytest.raises(ValueError, match="is a file of OpenAI's; load it by its path alone"):
            zsc.load_model(f"open_clip:ViT-B-32/{tmp_path}/archive.pt", device="cpu")

    def test_not_here(self, tmp_path):
        with pytest.raises(
            WeightsError, match=r"none\.pt: no such file; pass the file of a model of open_clip's ViT-B-32"
        ):
            zsc.load_model(f"open_clip:ViT-B-32/{tmp_path}/none.pt", device="cpu")

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda s: {"epoch": 3, "model": {f"module.{k}": v for k, v in s.items()}, "args": argparse.Namespace(a=1)},
            lambda s: {f"clip_model.{k}": v for k, v in s.items()},
            lambda s: s | {"logit_scale": s["logit_scale"].reshape(1)},
        ],
    )
    def test_wrapped_weights_files_load(self, wrap, weights, tmp_path, pictures):
        torch.save(wrap(torch.load(weights, weights_only=True)), tmp_path / "w.pt")
        plain, wrapped = (
            zsc.load_model(f"open_clip:ViT-S-32-alt/{path}", device="cpu") for path in (weights, tmp_path / "w.pt")
        )
        np.testing.assert_array_equal(wrapped.encode_images(pictures[:2]), plain.encode_images(pictures[:2]))
        assert wrapped.fingerprint == plain.fingerprint

    def test_weights_files_that_are_not_the_models_are_refused(self, weights, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "owned"), "w"))

        state = torch.load(weights, weights_only=True)
        for content, sentence in [
            ({"x": Evil()}, "no model of open_clip's ViT-S-32-alt, it lacks logit_scale"),
            (state | {"logit_scale": Evil()}, "logit_scale is a io.open, not a tensor"),
            ({k: v for k, v in state.items() if k != "ln_final.bias"}, r"could not be loaded .*ln_final\.bias"),
            (state | {"visual.proj": torch.ones(2, 2)}, r"could not be loaded .*visual\.proj"),
            (state | {"logit_scale": torch.tensor(float("nan"))}, "logit_scale are not finite"),
        ]:
            torch.save(content, tmp_path / "w.pt")
            with pytest.raises(WeightsError, match=sentence) as caught:
                zsc.load_model(f"open_clip:ViT-S-32-alt/{tmp_path}/w.pt", device="cpu")
            assert "\n" not in str(caught.value) and not (tmp_path / "owned").exists()
        (tmp_path / "cut.pt").write_bytes(weights.read_bytes()[:100_000])
        with pytest.raises(WeightsError, match=r"cut\.pt: not a checkpoint that can be read \(100,000 bytes"):
            zsc.load_model(f"open_clip:ViT-S-32-alt/{tmp_path}/cut.pt", device="cpu")


def test_a_librarys_own_transform_is_taken_where_it_cannot_be_said():
    preprocess = open_clip.image_transform(32, is_train=False, resize_mode="longest")
    picture = Image.new("RGB", (40, 20), "red")
    np.testing.assert_array_equal(LibraryTransform(preprocess)(picture), preprocess(picture).numpy())
