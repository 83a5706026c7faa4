"""open_clip and transformers: equal to a direct use of each, and to OpenAI's code on the same weights."""

import pickle

import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image

import zsc
from benchmarks.checkpoints import hugging_face_folder
from zsc.models.base import TextTooLongError
from zsc.models.transforms import ImageTransform, LibraryTransform
from zsc.models.weights import WeightsError

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
            ("open_clip:ViT-B-32", "names no weights; write 'open_clip:ViT-B-32/TAG' with openai, laion400m_e31"),
            ("open_clip:ViT-B-32/laion9", "open_clip has no weights 'laion9' for ViT-B-32; accepted are openai"),
        ],
    )
    def test_unknown_names(self, name, reason):
        with pytest.raises(ValueError, match=reason):
            zsc.load_model(name, device="cpu")

    def test_openais_own_files_load_by_their_path(self, tmp_path):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "archive.pt"))
        with pytest.raises(ValueError, match="is a file of OpenAI's; load it by its path alone"):
            zsc.load_model(f"open_clip:ViT-B-32/{tmp_path}/archive.pt", device="cpu")

    def test_not_here_and_no_network(self, tmp_path):
        with pytest.raises(WeightsError, match="open_clip:ViT-B-32/.*none.pt: the weights are not on this machine"):
            zsc.load_model(f"open_clip:ViT-B-32/{tmp_path}/none.pt", device="cpu")


def test_a_librarys_own_transform_is_taken_where_it_cannot_be_said():
    preprocess = open_clip.image_transform(32, is_train=False, resize_mode="longest")
    picture = Image.new("RGB", (40, 20), "red")
    np.testing.assert_array_equal(LibraryTransform(preprocess)(picture), preprocess(picture).numpy())
