"""Models beyond OpenAI's are computed as their publishers compute them, or refused: a small random one per family."""

import io

import numpy as np
import pytest
import sentencepiece
import tokenizers
import torch
import transformers
from PIL import Image

import zsc
from zsc.models.weights import WeightsError

pytestmark = pytest.mark.slow

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
SIDE = {"image_size": 32, "patch_size": 8}
WORDS = ["a", "photo", "of", "the", "English", "english", "springer", "cat", "Cat", "café", ".", ",", "dog"]
TEXTS = ["a photo of the English springer.", "Cat", "a  café,\n dog", "the_cat", " ".join(["dog"] * 50)]


def fast_tokenizer(words=WORDS, **options):
    """A real tokenizer of transformers, one token per word, which tells capitals and full stops from other words."""
    special = ["<pad>", "<unk>", "<s>", "</s>"]
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate([*special, *words])}, unk_token="<unk>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), special, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **names | options)


def bert_tokenizer(folder):
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str.lower, WORDS), "_"]))
    return transformers.BertTokenizerFast(vocab_file=str(vocabulary))


def clip_images(side=32):
    return transformers.CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})


def siglip_images():
    return transformers.SiglipImageProcessor(size={"height": 32, "width": 32})


def siglip(folder):
    text = SMALL | {"vocab_size": 40, "max_position_embeddings": 16, "projection_size": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config=SMALL | SIDE)
    return transformers.SiglipModel(config), siglip_images(), fast_tokenizer()


def pieces(folder):
    """SigLIP's own tokenizer class, with a sentencepiece model that is trained here."""
    out = io.BytesIO()
    sentences = [" ".join(WORDS[i:] + WORDS[:i]).lower() for i in range(len(WORDS))] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=out, vocab_size=40, hard_vocab_limit=False, minloglevel=2,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
    )  # fmt: skip
    (folder / "trained.model").write_bytes(out.getvalue())
    return transformers.SiglipTokenizer(str(folder / "trained.model"), pad_token="<pad>", model_max_length=16)


def siglip_with_its_own_tokenizer(folder):
    model, images, _ = siglip(folder)
    return model, images, pieces(folder)


def metaclip_2(folder):
    text = SMALL | {"vocab_size": 40, "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
    config = transformers.MetaClip2Config(text_config=text, vision_config=SMALL | SIDE, projection_dim=16)
    return transformers.MetaClip2Model(config), clip_images(), fast_tokenizer()


def aimv2(folder):
    text = SMALL | {"vocab_size": 40, "eos_token_id": 3, "max_position_embeddings": 77}
    config = transformers.Aimv2Config(text_config=text, vision_config=SMALL | SIDE, projection_dim=16)
    return transformers.Aimv2Model(config), clip_images(), fast_tokenizer()


def chinese_clip(folder):
    text = SMALL | {"vocab_size": 40}
    config = transformers.ChineseCLIPConfig(text_config=text, vision_config=SMALL | SIDE, projection_dim=16)
    images = transformers.ChineseCLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False)
    return transformers.ChineseCLIPModel(config), images, bert_tokenizer(folder)


def altclip(folder):
    text = SMALL | {"vocab_size": 40, "project_dim": 24, "pad_token_id": 0}
    config = transformers.AltCLIPConfig(text_config=text, vision_config=SMALL | SIDE, projection_dim=16)
    return transformers.AltCLIPModel(config), clip_images(), fast_tokenizer()


def align(folder):
    vision = {"image_size": 64, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 32}
    config = transformers.AlignConfig(text_config=SMALL | {"vocab_size": 40}, vision_config=vision, projection_dim=32)
    images = transformers.EfficientNetImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    model = transformers.AlignModel(config)
    for weight in model.vision_model.parameters():  # the library's own start is so small that nothing comes through
        if weight.ndim > 1:
            torch.nn.init.kaiming_normal_(weight)
    return model, images, bert_tokenizer(folder)


def tipsv2(folder):
    text = SMALL | {"vocab_size": 40}
    config = transformers.Tipsv2Config(text_config=text, vision_config=SMALL | SIDE)
    return transformers.Tipsv2Model(config), siglip_images(), fast_tokenizer()


# family: its small model, how its publisher tokenizes (length, cleaning), and what its encoder is told
CASES = {
    siglip: (16, lambda text: " ".join(text.replace("_", " ").translate({46: None, 44: None}).lower().split()), False),
    # transformers' class cleans texts too, but for the underscore that big_vision takes for a space
    siglip_with_its_own_tokenizer: (16, lambda text: text.replace("_", " "), False),
    metaclip_2: (77, lambda text: " ".join(text.split()), True),
    aimv2: (77, str, True),
    chinese_clip: (52, str, True),
    altclip: (77, str, True),
    align: (64, str, True),
    tipsv2: (64, str, True),
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
@torch.inference_mode()
def test_equal_to_the_publishers_path(make, tmp_path, pictures):
    """Pixels and token ids are equal, embeddings to 1e-5, and scale x cosine + bias is the library's own logit."""
    torch.manual_seed(0)
    model, images, tokenizer = make(tmp_path)
    for part in (model.eval(), images, tokenizer):
        part.save_pretrained(tmp_path)
    encoder = zsc.load_model(f"hf:{tmp_path}", device="cpu")
    length, clean, has_mask = CASES[make]
    options = {"padding": "max_length", "max_length": length, "truncation": True, "return_tensors": "pt"}
    tokens = tokenizer([clean(text) for text in TEXTS], **options)
    ours = encoder.tokenizer(TEXTS)["input_ids"]
    np.testing.assert_array_equal(ours, tokens["input_ids"][:, : ours.shape[1]])
    assert (tokens["input_ids"][:, ours.shape[1] :] == tokenizer.pad_token_id).all()
    pixels = images(images=pictures, return_tensors="pt")["pixel_values"]
    np.testing.assert_array_equal(np.stack([encoder.transform(p) for p in pictures]), pixels.numpy())
    mask = {"attention_mask": tokens["attention_mask"]} if has_mask else {}
    output = model(input_ids=tokens["input_ids"], pixel_values=pixels, **mask)
    theirs = [torch.nn.functional.normalize(e).numpy() for e in (output.image_embeds, output.text_embeds)]
    embedded = encoder.encode_images(pictures), encoder.encode_texts(TEXTS, truncate=True)
    for one, other in zip(embedded, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    logits = encoder.logit_scale * embedded[0] @ embedded[1].T + (encoder.info.logit_bias or 0)
    np.testing.assert_allclose(logits, output.logits_per_image.numpy(), atol=1e-3)
    assert encoder.image_size == pixels.shape[-1] and encoder.embed_dim == embedded[0].shape[1]
    assert encoder.info.head == ("sigmoid" if make.__name__.startswith("siglip") else "softmax")


def test_a_tokenizer_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    """A package that is missing, such as sentencepiece, is told as weights that cannot be loaded are."""
    for part in siglip(tmp_path):
        part.save_pretrained(tmp_path)

    def fail(*_, **__):
        raise ImportError("SiglipTokenizer requires the SentencePiece library\nbut it was not found")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(
        WeightsError, match="could not be loaded .SiglipTokenizer requires the SentencePiece library"
    ) as e:
        zsc.load_model(f"hf:{tmp_path}", device="cpu")
    assert "\n" not in str(e.value)


def test_pictures_of_any_shape_are_refused(tmp_path):
    vision = SMALL | {"patch_size": 8, "num_patches": 16}
    config = transformers.Siglip2Config(text_config=SMALL | {"vocab_size": 40}, vision_config=vision)
    transformers.Siglip2Model(config).save_pretrained(tmp_path)
    with pytest.raises(
        WeightsError, match=r"of the type siglip2 \(pictures of any shape.*fixed size.*zsc computes clip"
    ):
        zsc.load_model(f"hf:{tmp_path}", device="cpu")


def test_a_picture_of_one_colour(tmp_path):
    """An image size is that of the pixels that come out of the model's own processor."""
    model, images, tokenizer = siglip(tmp_path)
    for part in (model, images, tokenizer):
        part.save_pretrained(tmp_path)
    encoder = zsc.load_model(f"hf:{tmp_path}", device="cpu")
    assert encoder.transform(Image.new("RGB", (50, 40))).shape == (3, 32, 32) and encoder.image_size == 32
