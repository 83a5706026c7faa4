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
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.transform import PreprocessCfg, image_transform_v2

from zsc.models.acceleration import as_dtype
from zsc.models.base import Encoder, EncoderInfo, Tokenizer, Transform
from zsc.models.checkpoints import check_weights, is_torchscript, learned_scale, read_state_dict
from zsc.models.fingerprints import digest_of_config, sha256_of_tensors
from zsc.models.hub import cached_first
from zsc.models.tokens import ONE_AT_A_TIME, BytePairTokenizer, LibraryTokenizer
from zsc.models.transforms import ImageTransform, LibraryTransform

_PRECISIONS = {"float32": "fp32", "float16": "fp16"}  # open_clip's words


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
        super().__init__(wrapper.tokenizer, limit, clean=getattr(wrapper, "clean_fn", None))
        self.wrapper = wrapper

    def __call__(self, texts: Sequence[str]) -> Any:
        with ONE_AT_A_TIME:
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
    file = None if _is_tag(arch, tag) else Path(tag).expanduser()
    way_on = f"give a weights file as 'open_clip:{arch}/PATH'"
    tokenizer = cached_first(lambda: open_clip.get_tokenizer(arch), f"open_clip:{name}", is_local=False, way_on=way_on)
    model, compose = cached_first(
        lambda: _from_file(arch, file, device, precision) if file else _from_tag(arch, tag, device, precision),
        f"open_clip:{name}",
        is_local=file is not None,
        way_on=way_on,
    )
    check_weights(model.state_dict(), f"open_clip:{name}")
    config = open_clip.get_model_preprocess_cfg(model.eval())
    info = EncoderInfo(
        name=f"open_clip:{name}",
        library="open_clip",
        embed_dim=int(_embed_dim(arch)),
        image_size=_side(config["size"]),
        context_length=int(model.context_length),
        logit_scale=learned_scale(model.logit_scale, f"open_clip:{name}"),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
        architecture=f"{arch} {digest_of_config(open_clip.get_model_config(arch))}",
    )
    return OpenClipEncoder(model, info, _transform(config, compose), _as_tokenizer(tokenizer, info.context_length))


def _from_tag(arch: str, tag: str, device: str, precision: str) -> tuple[Any, Any]:
    model, compose = open_clip.create_model_from_pretrained(
        arch, pretrained=tag, device=device, precision=_PRECISIONS[precision]
    )
    return model, compose


def _from_file(arch: str, file: Path, device: str, precision: str) -> tuple[Any, Any]:
    """Load a weights file, in whatever mapping and behind whatever prefix a training script left the state dict."""
    if file.suffix in (".npz", ".npy"):  # big_vision's
        return _from_tag(arch, str(file), device, precision)
    tensors = read_state_dict(file, ("logit_scale",), f"model of open_clip's {arch}")
    model = open_clip.create_model(arch, device=device, precision=_PRECISIONS[precision], pretrained_hf=False)
    state = convert_state_dict(model, tensors)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for scalar in ("logit_scale", "logit_bias"):  # a number, or a list of one
        if scalar in state and getattr(model, scalar, None) is not None:
            state[scalar] = state[scalar].reshape(getattr(model, scalar).shape)
    model.load_state_dict(state)
    preprocess = open_clip.get_model_preprocess_cfg(model)
    return model, image_transform_v2(PreprocessCfg(**preprocess), is_train=False)


def _check_names(arch: str, tag: str) -> None:
    if arch not in open_clip.list_models():
        raise ValueError(f"open_clip has no architecture {arch!r}; open_clip.list_models() lists them.")
    tags = open_clip.list_pretrained_tags_by_model(arch)
    if not tag:
        raise ValueError(f"'open_clip:{arch}' names no weights; write 'open_clip:{arch}/TAG' with {', '.join(tags)}.")
    if Path(tag).is_file() and is_torchscript(Path(tag)):
        raise ValueError(f"{tag} is a file of OpenAI's; load it by its path alone, which also chooses QuickGELU.")
    if not _is_tag(arch, tag) and "/" not in tag and "." not in tag:
        raise ValueError(f"open_clip has no weights {tag!r} for {arch}; take one of {', '.join(tags)}, or a file.")


def _is_tag(arch: str, tag: str) -> bool:
    return bool(open_clip.get_pretrained_cfg(arch, tag))


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


def _as_tokenizer(tokenizer: Any, limit: int) -> Tokenizer:
    if hasattr(tokenizer, "encoder"):
        return BytePairTokenizer(tokenizer, limit)
    return _OpenClipTokenizer(tokenizer, limit)
