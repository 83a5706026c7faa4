"""Models of open_clip, "open_clip:ARCH/TAG": LAION's, DataComp's, SigLIP and others.

TAG is one of open_clip's pretrained tags, or the path of a weights file ("open_clip:ViT-B-32/weights/mine.pt"). Whether
GELU or QuickGELU is computed, ARCH says ("ViT-B-32-quickgelu"); OpenAI's own files load by their path alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.transform import PreprocessCfg, image_transform_v2
from open_clip.utils import to_2tuple

from zsc.models.base import Encoder, EncoderInfo, Transform, digest_of_config, sha256_of_tensors
from zsc.models.checkpoints import check_weights, is_torchscript, read_state_dict
from zsc.models.tokens import ONE_AT_A_TIME, BytePairTokenizer, LibraryTokenizer
from zsc.models.transforms import ImageTransform, LibraryTransform
from zsc.models.weights import cached_first

_PRECISIONS = {"float32": "fp32", "float16": "fp16"}  # open_clip's words


def load_open_clip(name: str, *, device: str, precision: str) -> Encoder:
    """Load "ARCH/TAG" through open_clip, or "ARCH/FILE"."""
    arch, _, tag = name.partition("/")
    _check_names(arch, tag)
    is_file = not open_clip.get_pretrained_cfg(arch, tag)
    load, weights = (_from_file, str(Path(tag).expanduser())) if is_file else (_from_tag, tag)
    named, way_on = f"open_clip:{name}", f"give a weights file as 'open_clip:{arch}/PATH'"
    tokenizer = cached_first(lambda: open_clip.get_tokenizer(arch), named, is_local=False, way_on=way_on)
    loads = partial(load, arch, weights, device, precision)
    model, compose = cached_first(loads, named, is_local=is_file, way_on=way_on)
    preprocess, config = open_clip.get_model_preprocess_cfg(model.eval()), open_clip.get_model_config(arch)
    info = EncoderInfo(
        name=named,
        library="open_clip",
        embed_dim=int(config["embed_dim"]),
        image_size=int(to_2tuple(preprocess["size"])[0]),
        context_length=int(model.context_length),
        logit_scale=check_weights(model, named),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
        architecture=f"{arch} {digest_of_config(config)}",
    )
    kind = BytePairTokenizer if hasattr(tokenizer, "encoder") else _OpenClipTokenizer  # OpenAI's, or a wrapper
    tokens, transform = kind(tokenizer, info.context_length), _as_transform(preprocess, compose)
    return Encoder(info, transform, tokens, model.encode_image, model.encode_text)


def _from_tag(arch: str, tag: str, device: str, precision: str) -> Any:
    """Load a network and its transform."""
    return open_clip.create_model_from_pretrained(arch, tag, device=device, precision=_PRECISIONS[precision])


def _from_file(arch: str, file: str, device: str, precision: str) -> Any:
    """Load a weights file, in whatever mapping and behind whatever prefix a training script left the state dict."""
    if file.endswith((".npz", ".npy")):  # big_vision's
        return _from_tag(arch, file, device, precision)
    tensors = read_state_dict(Path(file), ("logit_scale",), f"model of open_clip's {arch}")
    model = open_clip.create_model(arch, device=device, precision=_PRECISIONS[precision], pretrained_hf=False)
    state = convert_state_dict(model, tensors)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for scalar in ("logit_scale", "logit_bias"):  # a number, or a list of one
        if scalar in state and getattr(model, scalar, None) is not None:
            state[scalar] = state[scalar].reshape(getattr(model, scalar).shape)
    model.load_state_dict(state)
    return model, image_transform_v2(PreprocessCfg(**open_clip.get_model_preprocess_cfg(model)), is_train=False)


def _check_names(arch: str, tag: str) -> None:
    if arch not in open_clip.list_models():
        raise ValueError(f"open_clip has no architecture {arch!r}; open_clip.list_models() lists them.")
    tags = open_clip.list_pretrained_tags_by_model(arch)
    if not tag:
        raise ValueError(f"'open_clip:{arch}' names no weights; write 'open_clip:{arch}/TAG' with {', '.join(tags)}.")
    if Path(tag).is_file() and is_torchscript(Path(tag)):
        raise ValueError(f"{tag} is a file of OpenAI's; load it by its path alone, which also chooses QuickGELU.")
    if not open_clip.get_pretrained_cfg(arch, tag) and "/" not in tag and "." not in tag:
        raise ValueError(f"open_clip has no weights {tag!r} for {arch}; use one of {', '.join(tags)}, or a file.")


def _as_transform(preprocess: dict[str, Any], compose: Any) -> Transform:
    height, width = to_2tuple(preprocess["size"])
    mode, interpolation = preprocess["resize_mode"], preprocess["interpolation"]
    if height == width and mode in ("shortest", "squash") and interpolation in ("bicubic", "bilinear"):
        mean, std = tuple(preprocess["mean"]), tuple(preprocess["std"])
        return ImageTransform(height, mode=mode, interpolation=interpolation, mean=mean, std=std)
    return LibraryTransform(compose)


class _OpenClipTokenizer(LibraryTokenizer):
    """open_clip's wrapper of a transformers tokenizer: counted as the inner one counts, called as the model needs."""

    def __init__(self, wrapper: Any, limit: int) -> None:
        super().__init__(wrapper.tokenizer, limit, clean=getattr(wrapper, "clean_fn", str))
        self.wrapper = wrapper

    def __call__(self, texts: Sequence[str]) -> Any:
        with ONE_AT_A_TIME:
            return self.wrapper(list(texts), context_length=self.limit)
