"""Encoder: one face for every model that puts pictures and texts into the same space, and the record of what it is."""

import hashlib
import json
import pickle
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zsc.checks import as_list, check_choice, check_count, short
from zsc.images import RULES, ImageSource, as_sources, open_image

if TYPE_CHECKING:
    import torch  # where it is used, each function imports it: a model in ONNX needs none

Transform = Callable[[Image.Image], np.ndarray]  # an RGB picture -> (3, S, S) float32
Tower = Callable[[Any], "torch.Tensor"]  # transformed pictures or tokens, on the device -> (N, D)
# of transformers' configurations: where a model came from and how it was kept, which changes no number
_NO_PART = {"architectures", "auto_map", "dtype", "name_or_path", "torch_dtype", "transformers_version"}


class TextTooLongError(ValueError):
    """A text over the model's limit; the message gives the count, the limit and where it would be cut."""


@dataclass(frozen=True)
class EncoderInfo:
    """What a model is and how it computes, for result files and fingerprints, as its publisher configured it."""

    name: str  # what `load_model` was asked for
    library: str  # which holds the architecture
    embed_dim: int  # D
    image_size: int  # pixels per side
    context_length: int  # tokens of a text at most
    logit_scale: float  # what cosines are multiplied by before the softmax
    weights_sha256: str  # of the weights' file where there is one, else of the tensors
    device: str = "cpu"
    precision: str = "float32"
    engine: str = "torch"
    architecture: str = ""  # what the weights do not say: heads, or a digest of the configuration
    activation: str = ""  # between the products of its layers
    logit_bias: float | None = None  # what a model trained with sigmoids adds to its logits; None: with a softmax
    languages: str = "English"  # that it was trained to read
    pixels: str = ""  # its transform, with all numbers
    text: str = ""  # its tokenizer, with all numbers
    calibration: str = ""  # a digest of the pixels that int8 was calibrated on
    loss: str = ""  # how far a lower precision is from float32, as measured on loading

    @property
    def head(self) -> str:
        """How the model was trained to turn logits into probabilities: "softmax" or "sigmoid"."""
        return "softmax" if self.logit_bias is None else "sigmoid"


class ExactFloat32:
    """While any thread is in it, no GPU rounds float32 to TF32, as torch does by default, which moves RN50 by .017."""

    _lock, _inside, _before = threading.Lock(), 0, (False, False)

    def __enter__(self) -> None:
        import torch

        with self._lock:
            if not self._inside:
                self._before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
                torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        import torch

        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._before


EXACT_FLOAT32 = ExactFloat32()


@dataclass(eq=False, repr=False)
class Encoder:
    """A model that embeds pictures and texts, made by `zsc.load_model`.

    A CLIP has two networks, from pixels to (N, D) and from tokens to (M, D). Another model overrides what calls them.
    """

    info: EncoderInfo
    transform: Transform  # its own preprocessing of an upright RGB picture
    tokenizer: Any  # a `zsc.models.tokens.Tokenizer`
    image_encoder: Tower
    text_encoder: Tower
    step: int = 32  # pictures that go through the first at once on the CPU, whatever the batch: by the architecture

    def __post_init__(self) -> None:
        self.info = self._described()

    def _described(self, **changes: Any) -> EncoderInfo:
        """Return the record with all numbers of the transform and the tokenizer as they are now."""
        pixels, text = (re.sub(r" at 0x[0-9a-f]+", "", repr(part)) for part in (self.transform, self.tokenizer))
        return replace(self.info, pixels=pixels, text=text, **changes)

    def embed_pixels(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Embed transformed pictures (N, 3, S, S) as (N, D), on the model's device, rows of any length."""
        return self.image_encoder(pixels)

    def embed_tokens(self, tokens: Any) -> "torch.Tensor":
        """Embed what the tokenizer returned as (M, D), on the model's device, rows of any length."""
        return self.text_encoder(tokens.to(self.info.device))

    name = property(attrgetter("info.name"), doc="The name `load_model` was asked for.")
    embed_dim = property(attrgetter("info.embed_dim"), doc="D, the length of an embedding.")
    image_size = property(attrgetter("info.image_size"), doc="Pixels per side that the image encoder takes.")
    logit_scale = property(attrgetter("info.logit_scale"), doc="What cosines are multiplied by before the softmax.")

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with all that changes an answer: no name, device or measured loss."""
        record = self._described(name="", device="", loss="")
        return hashlib.sha256(f"{record}\n{RULES}".encode()).hexdigest()[:16]

    def encode_images(self, images: Sequence[ImageSource] | ImageSource, *, batch_size: int = 32) -> np.ndarray:
        """Embed N picture sources (or one), as `zsc.open_image` takes them, as (N, D), float32, unit rows.

        `batch_size` of them are open at once. An ImageError names a picture that cannot be opened.
        """
        batches = _batches(as_sources(images), batch_size)
        return self._collect([self.encode_pixels([self.transform(open_image(s)) for s in batch]) for batch in batches])

    def encode_pixels(self, pixels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Embed pictures that went through `transform`, (N, 3, S, S), as one batch (N, D), unit rows."""
        if not len(pixels):
            return self._collect([])
        import torch

        kind = torch.float16 if self.info.precision == "float16" else torch.float32  # OpenVINO rounds by itself
        batch = torch.from_numpy(np.stack(list(pixels))).to(self.info.device, kind)
        step = self.step if self.info.device == "cpu" else len(batch)
        with torch.inference_mode(), EXACT_FLOAT32:
            return _unit_rows(torch.cat([self.embed_pixels(part) for part in batch.split(step)]), self.name)

    def encode_texts(self, texts: Sequence[str] | str, *, truncate: bool = False, batch_size: int = 256) -> np.ndarray:
        """Embed M texts (or one) as (M, D), float32, unit rows; `batch_size` of them go through the encoder at once.

        A text with more tokens than the model reads is cut with `truncate`; without, it is a TextTooLongError.
        """
        texts = [texts] if isinstance(texts, str) else as_list(texts, "texts", "texts")
        self.token_ids(texts, truncate=truncate)  # refuses what cannot be read
        return self._collect([self.encode_tokens(self.tokenizer(batch)) for batch in _batches(texts, batch_size)])

    def encode_tokens(self, tokens: Any) -> np.ndarray:
        """Embed what the tokenizer returned for M texts as one batch (M, D), unit rows."""
        import torch

        with torch.inference_mode(), EXACT_FLOAT32:
            return _unit_rows(self.embed_tokens(tokens), self.name)

    def token_ids(self, texts: Sequence[str], *, truncate: bool = False) -> list[list[int]]:
        """Tokenize M texts to ids without padding, not cut at the limit; refuse what `encode_texts` would refuse."""
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {number} is the {type(text).__name__} {short(text)}; pass a list of texts.")
            if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ValueError(f"text {number}, {short(text)}, has half of a character, no UTF-8; mend or drop it.")
        found, limit = self.tokenizer.ids(texts), self.tokenizer.limit
        for text, ids in zip(texts, found, strict=True):
            if not truncate and len(ids) > limit:
                raise TextTooLongError(
                    f"text {text[:40] + '...'!r}: {len(ids)} tokens, limit {limit} (start and end included), "
                    f"cut after '...{self.tokenizer.kept(text)[-30:]}'; shorten it, or pass truncate=True."
                )
        return found

    def _collect(self, batches: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(batches) if batches else np.empty((0, self.embed_dim), np.float32)

    def __getstate__(self) -> bytes:
        """Pickle as plain bytes: multiprocessing would share tensors by file handles, and hand one out twice."""
        return pickle.dumps(self.__dict__, protocol=5)

    def __setstate__(self, state: bytes) -> None:
        self.__dict__.update(pickle.loads(state))

    def __repr__(self) -> str:
        i = self.info
        return f"Encoder({i.name}: {i.library}, D={i.embed_dim}, {i.image_size} px, {i.precision} on {i.device})"


def choose_device(device: str = "auto") -> str:
    """Choose the device: for "auto" the first of cuda, mps and cpu that this machine has."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    here = [kind for kind, is_here in present.items() if is_here]
    kind = check_choice(str(device).partition(":")[0], ("auto", *present), "device")  # "cuda:1" is the second of them
    if kind not in ("auto", *here):
        raise ValueError(f"device={device!r} is not on this machine; it has {', '.join(here)}; or pass device='auto'.")
    return here[0] if kind == "auto" else str(device)


def choose_precision(precision: str, device: str, possible: Sequence[str] = ("float32", "float16")) -> str:
    """Choose the precision: for "auto" float16 on cuda where it is possible, else float32."""
    check_choice(precision, ("auto", *possible), "precision")
    if precision == "float16" and device == "cpu":
        raise ValueError("precision='float16' on the CPU is slow or fails; use precision='float32' (or 'auto') there.")
    if precision != "auto":
        return precision
    return "float16" if device.startswith("cuda") and "float16" in possible else "float32"


def sha256_of_tensors(tensors: "Mapping[str, torch.Tensor]") -> str:
    """Compute one sha256 over the names, types, shapes and values of tensors, in the order of the names."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_of_config(config: Mapping[str, Any]) -> str:
    """Digest a configuration in sixteen hexadecimal digits: layers, heads, activations; no versions, paths, names."""

    def computed(level: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in level.items() if k not in _NO_PART and not k.startswith("_")}

    plain = json.loads(json.dumps(config, default=str), object_hook=computed)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), check_count(size, "batch_size"))]


def _unit_rows(embeddings: "torch.Tensor", name: str) -> np.ndarray:
    """Divide each row by its length; float32 before the division, so that half precision loses nothing here."""
    values = embeddings.float()
    return finite((values / values.norm(dim=1, keepdim=True)).cpu().numpy(), name)  # as OpenAI's CLIP.forward does


def finite(rows: np.ndarray, name: str) -> np.ndarray:
    """Return embeddings as they are, where each number is one; else a FloatingPointError."""
    if not np.isfinite(rows).all():
        raise FloatingPointError(f"{name} computed embeddings that are not finite; try precision='float32'.")
    return rows
