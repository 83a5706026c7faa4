"""Is it computed right? A model's pixels, tokens, embeddings and probabilities beside those of its publisher's code.

And beside what has been published of it: OpenAI's cosines of ViT-B/32, and logits that transformers' own tests expect.
"""

import importlib.resources
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip.model
import pandas as pd
import torch
from PIL import Image, ImageDraw
from torchvision import transforms

from zsc.drawings import draw
from zsc.images import open_image
from zsc.models import as_encoder
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.conse import LOGIT_SCALE, TEMPLATE, TOP_CLASSES, imagenet_names, load_conse
from zsc.models.hugging_face import FAMILIES, cleaning_of, load_parts
from zsc.models.open_clip import SCHEMAS, parse_name, preprocessing
from zsc.models.openai_clip import build
from zsc.models.table import known_of
from zsc.models.tokens import CLEANING
from zsc.models.weights import quiet
from zsc.published import published

TEXTS = [
    "a photo of a cat", "A Photo of a Cat.", "an English springer spaniel", "“curly”, naïve CAFÉ &amp; more",
    "a face with glasses", "a wild animal", "1, 2, 3: four_five", "a sentence that is a bit longer than the others",
]  # fmt: skip
SHAPES = ((128, 128), (640, 480), (300, 451), (90, 400), (1000, 333), (224, 224), (57, 61), (512, 384))  # width, height
LIMITS = {  # the largest difference that two right computations have; a wrong one is at least ten times as far off
    "pixels": 1e-5,  # of values from about -2 to 2.7 in float32; one step of 256 is 0.015
    "token ids": 0,  # whole numbers
    "image embeddings": 5e-5,  # elements of unit rows: the same sums in another order differ by up to 1e-5
    "text embeddings": 5e-5,
    "probabilities": 1e-3,  # the logit scale of 100 times the difference of two cosines
}
WIDER = {"float16": 100, "bfloat16": 400, "int8": 400}  # the publisher's code computes in float32; 11 and 8 bits do not
VIT_B_32 = "openai/clip-vit-base-patch32"
COCO = "http://images.cocodataset.org/val2017/000000039769.jpg"
_PUBLISHED_AS = {"ViT-B/32": VIT_B_32, "open_clip:ViT-B-32-quickgelu/openai": VIT_B_32}
_ROW = {"what": "", "beside": "", "n": 0, "largest": np.nan, "limit": np.nan, "verdict": ""}
Answers = tuple[str, Any, Any, Any, Any, Any]  # which code; and in the order of LIMITS what it computes, unit rows


@dataclass(frozen=True, eq=False)
class Conformance:
    """The card of a model: what was compared, and what is known of it."""

    info: EncoderInfo
    # one row per comparison: `what`, `beside` what, `n` numbers, the `largest` difference, its `limit`, a `verdict`:
    table: pd.DataFrame  # "agrees", "differs", or why there was no comparison
    known: dict[str, str]  # licence, source, training data, consent, published accuracy

    @property
    def verdict(self) -> str:
        """Say "differs" where anything does, else "agrees"."""
        return "differs" if (self.table["verdict"] == "differs").any() else "agrees"

    def summary(self) -> str:
        """Say in one sentence what agrees, what differs and what was not compared."""
        verdicts = self.table["verdict"]
        wrong, agreeing = list(self.table.loc[verdicts == "differs", "what"]), int((verdicts == "agrees").sum())
        left = f"; {n} not compared" if (n := len(verdicts) - len(wrong) - agreeing) else ""
        if wrong:
            return f"differs in {', '.join(wrong)}; {agreeing} of {len(verdicts)} comparisons agree{left}"
        return f"agrees: all {agreeing} comparisons are within their limits{left}"

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain data: model, verdict, its record, the comparisons, what is known."""
        record = asdict(self.info) | {"head": self.info.head}
        about = {"model": self.info.name, "verdict": self.verdict, "summary": self.summary()}
        return about | {"record": record, "comparisons": self.table.to_dict("records"), "known": self.known}


def check(model: Encoder | str, *, coco: str | Path | None = None, checkpoint: str = "") -> Conformance:
    """Lay a model beside its publisher's own code, and beside what has been published of it.

    Eight drawings of odd sizes and eight odd texts go through both. An encoder takes the publisher's pixels, so that a
    difference is told where it arises. Most published logits are about COCO's picture 000000039769: `coco` is its path
    or URL; without, they are left out. `checkpoint` is the name under which numbers of this model were published, such
    as "openai/clip-vit-base-patch32", where its own name does not say.
    """
    encoder = as_encoder(model)
    pictures = [draw(("faces", "animals")[i % 2], i).picture.resize(shape) for i, shape in enumerate(SHAPES)]
    rows = [*_beside_publisher(encoder, pictures), *_beside_published(encoder, checkpoint, coco)]
    return Conformance(encoder.info, pd.DataFrame(rows, columns=list(_ROW)), known_of(encoder.name))


def _row(what: str, beside: str, ours: Any, theirs: Any, limit: float) -> dict[str, Any]:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    largest = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf
    verdict = "agrees" if largest <= limit else "differs"  # NaN differs
    return dict(zip(_ROW, (what, beside, ours.size, largest, limit, verdict), strict=True))


def _beside_publisher(encoder: Encoder, pictures: list[Image.Image]) -> Iterator[dict[str, Any]]:
    """Compare all that an encoder computes with its publisher's code, on the CPU in float32."""
    info, own = encoder.info, {"open_clip:": _open_clip, "hf:": _transformers, "conse": _conse}
    with torch.inference_mode(), quiet(offline=True):  # it has just been loaded from here
        by, *computed = own.get("".join(info.name.partition(":")[:2]), _openai)(info, pictures)
    theirs = {what: np.asarray(values) for what, values in zip(LIMITS, computed, strict=True)}
    tokens = encoder.tokenizer(TEXTS)
    ids = np.asarray(tokens if isinstance(tokens, torch.Tensor) else tokens["input_ids"])
    padded = np.full_like(theirs["token ids"], theirs["token ids"][0, -1])  # ours may end with the longest text
    padded[:, : ids.shape[1]] = ids[:, : padded.shape[1]]
    images, texts = encoder.encode_images(pictures), encoder.encode_texts(TEXTS, truncate=True)
    ours = {
        "pixels": np.stack([encoder.transform(picture) for picture in pictures]),
        "token ids": padded,
        "image embeddings": encoder.encode_pixels(theirs["pixels"]),
        "text embeddings": texts,
        "probabilities": _proba(encoder.logit_scale * images @ texts.T, info.logit_bias),
    }
    for what, limit in LIMITS.items():
        is_exact = what in ("pixels", "token ids") or (what == "text embeddings" and info.engine == "openvino")
        wider = 1 if is_exact else WIDER.get(info.precision, 1)
        yield _row(what, by, ours[what], theirs[what], limit * wider)


def _proba(logits: Any, bias: Any) -> np.ndarray:
    logits = torch.as_tensor(logits, dtype=torch.float32)
    return (logits.softmax(dim=1) if bias is None else (logits + bias).sigmoid()).numpy()


def _openai(info: EncoderInfo, pictures: Sequence[Image.Image]) -> Answers:
    model, size, _, library = build(info.name, info.library)
    if library == "clip":
        clip = importlib.import_module("clip.clip")
        compose, tokens = clip._transform(size), clip.tokenize(TEXTS, info.context_length, truncate=True)
    else:
        compose = open_clip.transform.image_transform(size, is_train=False)
        tokens = open_clip.tokenize(TEXTS, context_length=info.context_length)
    return _two_towers(library, model.float(), compose, tokens, pictures)


def _open_clip(info: EncoderInfo, pictures: Sequence[Image.Image]) -> Answers:
    name = info.name.removeprefix("open_clip:")
    arch, tag, file = (name, "", "") if name.startswith(SCHEMAS) else parse_name(name)
    if file:
        way = preprocessing(arch, tag)
        model = open_clip.create_model(arch, pretrained=file, force_preprocess_cfg=way, require_pretrained=True)
        config = open_clip.transform.PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
        compose = open_clip.transform.image_transform_v2(config, is_train=False)
    else:
        model, compose = open_clip.create_model_from_pretrained(arch, tag or None)
    return _two_towers("open_clip", model, compose, open_clip.get_tokenizer(arch)(TEXTS), pictures)


def _two_towers(by: str, model: Any, compose: Any, tokens: Any, pictures: Sequence[Image.Image]) -> Answers:
    pixels, model = torch.stack([compose(picture) for picture in pictures]), model.eval()
    images, texts = (torch.nn.functional.normalize(e) for e in (model.encode_image(pixels), model.encode_text(tokens)))
    proba = _proba(model.logit_scale.exp() * images @ texts.T, getattr(model, "logit_bias", None))
    return f"{by} itself", pixels, tokens, images, texts, proba


def _transformers(info: EncoderInfo, pictures: Sequence[Image.Image]) -> Answers:
    model, processor, tokenizer = load_parts(str(Path(info.name.removeprefix("hf:")).expanduser()), "float32")
    family = FAMILIES[model.config.model_type]
    length = family.limit or model.config.text_config.max_position_embeddings
    cleaned = [CLEANING[cleaning_of(family, tokenizer)](text) for text in TEXTS]
    inputs = tokenizer(cleaned, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    mask = {"attention_mask": inputs["attention_mask"]} if family.has_mask and "attention_mask" in inputs else {}
    pixels = processor(images=list(pictures), return_tensors="pt")["pixel_values"]
    out = model.eval()(input_ids=inputs["input_ids"], pixel_values=pixels, **mask)
    images, texts = (torch.nn.functional.normalize(e) for e in (out.image_embeds, out.text_embeds))
    proba = _proba(out.logits_per_image, 0.0 if hasattr(model, "logit_bias") else None)
    return "transformers itself", pixels, inputs["input_ids"], images, texts, proba


def _conse(info: EncoderInfo, pictures: Sequence[Image.Image]) -> Answers:
    """Compute ConSE from its two packages by torchvision's transforms and a plain mean over the tokens of a text."""
    parts: Any = load_conse(device="cpu")
    resize = transforms.Resize(292, Image.Resampling.BICUBIC)
    compose = transforms.Compose([resize, transforms.CenterCrop(260), transforms.PILToTensor()])
    pixels = torch.stack([(compose(picture).float() - 127) / 128 for picture in pictures])

    def embed(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = parts.tokenizer.tokenizer(texts, padding=True, return_tensors="pt")
        states = parts.text_encoder(**tokens).last_hidden_state
        means = [state[mask.bool()].mean(dim=0) for state, mask in zip(states, tokens["attention_mask"], strict=True)]
        return torch.nn.functional.normalize(torch.stack(means)), tokens["input_ids"]

    classes = embed([TEMPLATE.format(name) for name in imagenet_names()])[0]
    best = parts.image_encoder(pixels).softmax(dim=1).topk(TOP_CLASSES, dim=1)
    images = torch.stack([proba @ classes[index] for proba, index in zip(best.values, best.indices, strict=True)])
    images, (texts, tokens) = torch.nn.functional.normalize(images), embed(TEXTS)
    return "its two packages", pixels, tokens, images, texts, _proba(LOGIT_SCALE * images @ texts.T, None)


def _beside_published(encoder: Encoder, checkpoint: str, coco: str | Path | None) -> Iterator[dict[str, Any]]:
    """Compare with every number that has been published of this checkpoint; say which need a picture to be passed."""
    name = checkpoint or _PUBLISHED_AS.get(encoder.name) or encoder.name.removeprefix("hf:")
    if name == VIT_B_32:
        table = published("openai_vitb32_samples")
        images = encoder.encode_images([photo(name) for name in table.columns[1:]])
        cosines = encoder.encode_texts([f"This is {text}" for text in table["text"]]) @ images.T
        yield _row("image-text cosines", "OpenAI's notebook Interacting with CLIP", cosines, table.iloc[:, 1:], 0.015)
        table = published("clip_vitb32_text_cosines").set_index("a ...")
        texts, upper = encoder.encode_texts([f"a {word}" for word in table.index]), np.triu_indices(len(table), 1)
        ours, theirs = (texts @ texts.T)[upper], table.to_numpy()[upper]
        yield _row("text-text cosines", "embeddings of facebookresearch/Detic", ours, theirs, 0.003)
    logits = published("published_logits")
    for (head, source, what), rows in logits[logits["checkpoint"] == name].groupby(["head", "source", "picture"]):
        yield _beside_logits(encoder, rows, head, f"{source.partition(';')[0]}, {what.partition(',')[0]}", coco)


def _beside_logits(encoder: Encoder, rows: pd.DataFrame, head: str, beside: str, coco: Any) -> dict[str, Any]:
    kind = "logits" if rows["probability"].isna().all() else "probabilities"
    if size := re.match(r"drawn: red (\d+) x (\d+)", rows["picture"].iloc[0]):
        coco = _disc(*map(int, size.groups()))
    if coco is None:
        return _ROW | {"what": kind, "beside": beside, "verdict": f"not compared: pass the picture, {COCO}"}
    template = "This is a photo of {}." if "template" in rows["source"].iloc[0] else "{}"
    texts = encoder.encode_texts([template.format(text) for text in rows["text"]])
    ours = encoder.logit_scale * encoder.encode_images([coco]) @ texts.T + (encoder.info.logit_bias or 0)
    if kind == "logits":
        return _row(kind, beside, ours[0], rows["logit"], 0.05)
    return _row(kind, beside, _proba(ours, None if head == "softmax" else 0.0)[0], rows["probability"], 0.005)


def _disc(width: int, height: int) -> Image.Image:
    """Draw what SigLIP 2's published logits are about, as the table describes it."""
    picture, (x, y) = Image.new("RGB", (width, height), "red"), (width // 2, height // 2)
    radius = min(x, y) // 8 * 7
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(picture).ellipse(box, fill="blue", outline="green", width=width // 20)
    return picture


def photo(name: str) -> Image.Image:
    """Open one of the photographs that scikit-image carries, the pictures of OpenAI's notebook."""
    return open_image(str(importlib.resources.files("skimage") / "data" / name))
