"""Encoders by name: OpenAI's CLIP, open_clip, transformers, and a model that needs no download.

No name ever gives another model than the one it names. torch is imported when the first model is loaded.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from zsc.checks import short
from zsc.files import printable
from zsc.models.weights import OPENAI_WEIGHTS, WeightsError, weights_are_here, weights_path

if TYPE_CHECKING:
    from zsc.models.base import Encoder, TextTooLongError

__all__ = [
    "Encoder", "TextTooLongError", "WeightsError", "as_encoder", "auto_model", "available_models", "load_model",
    "model_table",
]  # fmt: skip

_log = logging.getLogger("zsc")
EMBEDDED = ("conse", "toy")
TOY = Path(__file__).parent.parent / "toy" / "toy.pt"


def available_models() -> list[str]:
    """List the names `load_model` knows; it also takes "auto", "open_clip:ARCH/TAG", "hf:ID" and a file."""
    return [*OPENAI_WEIGHTS, *EMBEDDED]


def load_model(
    name: str | os.PathLike[str],
    device: str = "auto",
    precision: str = "auto",
    engine: str = "torch",
    *,
    library: str = "auto",
) -> Encoder:
    """Load a model.

    Parameters
    ----------
    name
        One of OpenAI's ("RN50", "ViT-B/32", ...), "open_clip:ARCH/TAG", "hf:ID" (or "hf:FOLDER"), the path of a
        checkpoint in OpenAI's format; "conse", which comes with the package's requirements; or "toy", a true CLIP
        that knows nothing but this project's own drawings, and comes with the package; or "auto", the choice of
        `auto_model`, which downloads nothing.
    device
        "auto" (the first of cuda, mps, cpu that is there), or one of them.
    precision
        "auto" (float16 on cuda, else float32), "float32" or "float16".
    engine
        "torch"; or "openvino", for checkpoints in OpenAI's format on the CPU (package openvino).
    library
        For OpenAI's format: "auto" (OpenAI's `clip` where installed, else open_clip), "clip" or "open_clip".

    Returns
    -------
    Encoder
        Ready to encode; what was chosen stands in its `info`.

    Raises
    ------
    ValueError
        If the name or an option is not one of these.
    WeightsError
        If the weights are missing and cannot be fetched, or are not what they should be.

    Examples
    --------
    >>> model = load_model("conse", device="cpu")
    >>> model.encode_texts(["a photo of a cat", "a photo of a dog"]).shape
    (2, 384)
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if name == "auto":
        name, why = auto_model()
        _log.info("the model is %s: %s.", name, why)
    kind, _, rest = str(name).partition(":")
    if not isinstance(name, str) or not _is_known(name, kind):
        raise ValueError(
            f"no model {printable(short(name))}; a model must be one of auto, {', '.join(available_models())}, "
            "'open_clip:ARCH/TAG', 'hf:ID', or the path of a checkpoint in OpenAI's format."
        )
    from zsc.models import acceleration

    if library not in ("auto", "clip", "open_clip"):
        raise ValueError(f"library={library!r}; library must be one of auto, clip, open_clip.")
    device = acceleration.choose_device(str(device))
    if name == "conse" and precision == "auto":
        precision = "float32"
    precision = acceleration.choose_precision(precision, device)
    acceleration.check_engine(engine, device, precision)
    chosen: dict[str, Any] = {"device": device, "precision": precision}
    if engine != "torch" and (name == "conse" or kind in ("open_clip", "hf")):
        raise ValueError(
            f"engine={engine!r} is built for checkpoints in OpenAI's format, not for {name}; leave it out."
        )
    if name == "conse":
        from zsc.models.conse import load_conse

        return load_conse(**chosen)
    if kind == "open_clip":
        from zsc.models.open_clip import load_open_clip

        return load_open_clip(rest, **chosen)
    if kind == "hf":
        from zsc.models.hugging_face import load_hugging_face

        return load_hugging_face(rest, **chosen)
    from zsc.models.openai_clip import load_checkpoint, load_published

    if name == "toy":
        return load_checkpoint(TOY, name="toy", library=library, engine=engine, **chosen)
    if name in OPENAI_WEIGHTS:
        return load_published(str(name), library=library, engine=engine, **chosen)
    return load_checkpoint(Path(name).expanduser(), library=library, engine=engine, **chosen)


def auto_model() -> tuple[str, str]:
    """Choose a model that needs no download: ViT-B/32 where its weights are on this machine, else "conse".

    Returns
    -------
    tuple
        The name, and one sentence that says why.
    """
    path = weights_path("ViT-B/32")
    if weights_are_here("ViT-B/32"):
        return "ViT-B/32", f"OpenAI's weights are on this machine ({path.name})"
    return "conse", "OpenAI's ViT-B/32 is not on this machine, and nothing is downloaded unasked"


def as_encoder(model: Encoder | str | os.PathLike[str]) -> Encoder:
    """Give the encoder of a model: an encoder as it is, a name or a path as `load_model` loads it.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(model, (str, os.PathLike)):
        return load_model(model)
    if not all(callable(getattr(model, name, None)) for name in ("encode_images", "encode_texts")):
        raise TypeError(f"model is {short(model)}; pass an encoder (zsc.load_model(name)), or a name such as 'auto'.")
    return model


def model_table() -> pd.DataFrame:
    """Tabulate the models by name: D, pixels a side, where the weights are, published ImageNet accuracy."""
    rows: list[dict[str, Any]] = [
        {
            "model": name,
            "embed_dim": w.embed_dim,
            "image_size": w.image_size,
            "weights": "on this machine" if weights_are_here(name) else "to download",
            "imagenet_published": w.imagenet,
        }
        for name, w in OPENAI_WEIGHTS.items()
    ]
    rows.append({"model": "conse", "embed_dim": 384, "image_size": 260, "weights": "installed"})
    rows.append({"model": "toy", "embed_dim": 128, "image_size": 64, "weights": "installed"})
    return pd.DataFrame(rows)


def _is_known(name: str, kind: str) -> bool:
    looks_like_path = name.endswith((".pt", ".pth", ".bin", ".ckpt")) or _is_file(name)
    return name in available_models() or kind in ("open_clip", "hf") or looks_like_path


def _is_file(name: str) -> bool:
    try:
        return Path(name).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, a home that is not there
        return False


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use."""
    if name in ("Encoder", "TextTooLongError"):
        from zsc.models import base

        return getattr(base, name)
    raise AttributeError(f"module 'zsc.models' has no attribute {name!r}")
