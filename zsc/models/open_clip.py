"""Models of open_clip, "open_clip:ARCH/TAG": LAION's, DataComp's, SigLIP and others.

TAG is one of open_clip's pretrained tags, or the path of a weights file ("open_clip:ViT-B-32/weights/mine.pt"). Whether
GELU or QuickGELU is computed, ARCH says ("ViT-B-32-quickgelu"); OpenAI's own files load by their path alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch

from zsc.models.acceleration import as_dtype
from zsc.models.base import Encoder, EncoderInfo, Tokenizer, Transform
from zsc.models.fingerprints import sha256_of_tensors
from zsc.models.openai_clip import is_torchscript
from zsc.models.tokens import BytePairTokenizer, LibraryTokenizer
from zsc.models.transforms import ImageTransform, LibraryTransform
from zsc.models.weights import WeightsError


class OpenClipEncoder(Encoder):
    """A model of open_clip.

    Parameters
    ----------
    model
        The network, with `encode_image` and `encode_text`.
    info
        What it is.
    transform, tokenizer
        The model's own.
    """

    def __init__(self, model: Any, info: EncoderInfo, transform: Transform, tokenizer: Tokenizer) -> None:
        self.model = model
        self.info = info
        self.transform = transform
        self.tokenizer = tokenizer

    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed transformed pictures (N, 3, S, S) as (N, D)."""
        out: torch.Tensor = self.model.encode_image(pixels.to(as_dtype(self.info.precision)))
        return out

    def embed_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embed token ids (M, limit) as (M, D)."""
        out: torch.Tensor = self.model.encode_text(tokens.to(self.info.device))
        return out


class _OpenClipTokenizer(LibraryTokenizer):
    """open_clip's wrapper of a transformers tokenizer: counted as the inner one counts, called as the model needs."""

    def __init__(self, wrapper: Any, limit: int) -> None:
        super().__init__(wrapper.tokenizer, limit)
        self.wrapper = wrapper

    def __call__(self, texts: Sequence[str]) -> Any:
        return self.wrapper(list(texts), context_length=self.limit)


def load_open_clip(name: str, *, device: str, precision: str) -> OpenClipEncoder:
    """Load "ARCH/TAG" through open_clip.

    Raises
    ------
    ValueError
        If open_clip knows no such architecture or tag.
    WeightsError
        If the weights are not on this machine and cannot be fetched.
    """
    arch, _, tag = name.partition("/")
    _check_names(arch, tag)
    try:
        model, compose = open_clip.create_model_from_pretrained(
            arch, pretrained=tag, device=device, precision="fp32" if precision == "float32" else "fp16"
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"open_clip:{name}: the weights are not on this machine and could not be loaded ({str(error)[:200]}). Two "
            f"ways on: give a weights file as 'open_clip:{arch}/PATH'; or use load_model('conse'), which needs none."
        ) from error
    model.eval()
    config = open_clip.get_model_preprocess_cfg(model)
    info = EncoderInfo(
        name=f"open_clip:{name}",
        library="open_clip",
        embed_dim=int(_embed_dim(arch)),
        image_size=_side(config["size"]),
        context_length=int(model.context_length),
        logit_scale=float(model.logit_scale.detach().float().exp()),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
    )
    return OpenClipEncoder(model, info, _transform(config, compose), _tokenizer(arch, info.context_length))


def _check_names(arch: str, tag: str) -> None:
    if arch not in open_clip.list_models():
        raise ValueError(f"open_clip has no architecture {arch!r}; open_clip.list_models() lists them.")
    tags = open_clip.list_pretrained_tags_by_model(arch)
    if not tag:
        raise ValueError(f"'open_clip:{arch}' names no weights; write 'open_clip:{arch}/TAG' with {', '.join(tags)}.")
    if Path(tag).is_file() and is_torchscript(Path(tag)):
        raise ValueError(f"{tag} is a file of OpenAI's; load it by its path alone, which also chooses QuickGELU.")
    if tag not in tags and "/" not in tag and "." not in tag:
        raise ValueError(f"open_clip has no weights {tag!r} for {arch}; accepted are {', '.join(tags)}, or a file.")


def _embed_dim(arch: str) -> int:
    config = open_clip.get_model_config(arch)
    return int(config["embed_dim"]) if config else 0


def _side(size: int | Sequence[int]) -> int:
    return int(size) if isinstance(size, int) else int(size[0])


def _transform(config: dict[str, Any], compose: Any) -> Transform:
    square = isinstance(config["size"], int) or config["size"][0] == config["size"][1]
    known = config["resize_mode"] in ("shortest", "squash") and config["interpolation"] in ("bicubic", "bilinear")
    if known and square:
        return ImageTransform(
            _side(config["size"]),
            mode=config["resize_mode"],
            interpolation=config["interpolation"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
        )
    return LibraryTransform(compose)


def _tokenizer(arch: str, limit: int) -> Tokenizer:
    tokenizer = open_clip.get_tokenizer(arch)
    if hasattr(tokenizer, "encoder"):
        return BytePairTokenizer(tokenizer, limit)
    return _OpenClipTokenizer(tokenizer, limit)
