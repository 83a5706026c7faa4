"""Encoders by name: OpenAI's CLIP, open_clip, transformers, and a model that needs no download.

No name ever loads another model than the one it names. torch is imported when the first model is loaded.
"""

import importlib.util
import logging
import os
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader  # type: ignore[import-untyped]

from zsc.checks import check_choice, needed_for, short
from zsc.files import printable
from zsc.models.table import model_table
from zsc.models.weights import EMBEDDED, OPENAI_WEIGHTS, WeightsError, weights_are_here, weights_path

if TYPE_CHECKING:
    from zsc.models.base import Encoder, TextTooLongError
    from zsc.models.conformance import check
    from zsc.models.export import export_model

__all__ = [
    "Encoder", "TextTooLongError", "WeightsError", "as_encoder", "auto_model", "available_models", "check",
    "export_model", "load_model", "model_table",
]  # fmt: skip

_LAZY = {"base": ["Encoder", "TextTooLongError"], "conformance": ["check"], "export": ["export_model"]}
__getattr__, _, _ = lazy_loader.attach(__name__, submod_attrs=_LAZY)  # base would be seen to import torch

ROUTES = {  # the beginning of a name, or all of it -> what loads the rest of the name, and its precisions
    "open_clip:": ("zsc.models.open_clip:load_open_clip", ("float32", "float16")),
    "hf:": ("zsc.models.hugging_face:load_hugging_face", ("float32", "float16")),
    "onnx:": ("zsc.models.onnx:load_onnx", ()),
    "conse": ("zsc.models.conse:load_conse", ("float32",)),
}
TOY_GRAPHS = Path(__file__).parent.parent / "toy" / "onnx"  # of a wheel; not kept with the sources
OPENAI = ("zsc.models.openai_clip:load_openai", ("float32", "float16"))  # every other name, or a file in its format


def available_models() -> list[str]:
    """List the names `load_model` knows; it also takes "auto", "open_clip:ARCH/TAG", "hf:ID" and a file."""
    return [*OPENAI_WEIGHTS, *EMBEDDED]


def load_model(
    name: str | os.PathLike[str], device: str = "auto", precision: str = "auto", engine: str = "torch", *,
    library: str = "auto", calibrate: Any = None,
) -> "Encoder":  # fmt: skip
    """Load a model, ready to encode; what was chosen stands in its `info`.

    A WeightsError says where weights are missing and cannot be downloaded, or are not what they should be.

    Parameters
    ----------
    name
        One of OpenAI's ("RN50", "ViT-B/32", ...), "open_clip:ARCH/TAG", "hf:ID" (or "hf:FOLDER"), the path of a
        checkpoint in OpenAI's format; "onnx:FOLDER", which `export_model` wrote and which needs no torch. No download:
        "conse", "toy" (a true CLIP that knows only this project's drawings), or "auto", the choice of `auto_model`.
    device, engine
        "auto" (the first of cuda, mps, cpu that is there), or one of them; "torch", or "openvino", which computes the
        image encoder of any model on the CPU.
    precision
        "auto" (float16 on cuda where the model can, else float32), "float32" or "float16"; or, for the image encoder
        through OpenVINO on processors that have it, "bfloat16" or "int8": refused where the mean centred cosine to
        float32, on up to 64 pictures, is below .99; it stands in `info.loss`.
    library, calibrate
        For OpenAI's format: "auto" (OpenAI's `clip` where installed, else open_clip), "clip" or "open_clip". For int8:
        16 or more of the pictures to embed, or their data set; half of 128 evenly spread ones calibrate it.

    Examples
    --------
    >>> model = load_model("conse", device="cpu")
    >>> model.encode_texts(["a photo of a cat", "a photo of a dog"]).shape
    (2, 384)
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if name == "auto":
        name, why = auto_model()
        logging.getLogger("zsc").info("the model is %s: %s.", name, why)
    rest, (load, precisions) = find_route(name)
    check_choice(engine, ("torch", "openvino"), "engine")
    check_choice(library, ("auto", "clip", "open_clip"), "library")
    options = {"library": library} if load == OPENAI[0] else {}
    if not options and library != "auto":
        raise ValueError(f"library={library!r} is for checkpoints in OpenAI's format, not for {name}; leave it out.")
    if name == "toy" and not importlib.util.find_spec("torch") and TOY_GRAPHS.is_dir():
        logging.getLogger("zsc").info("torch is not installed: toy is computed by onnxruntime, from the same weights.")
        rest, (load, precisions), options = str(TOY_GRAPHS), ROUTES["onnx:"], {"name": name}
    is_plain = engine == "torch" and calibrate is None
    if not (precisions or is_plain):
        raise ValueError(f"{name} is computed by onnxruntime; leave engine and calibrate out.")
    extra = "onnx" if not precisions else "models,samples" if name == "conse" else "models"
    with needed_for(f"the model {short(name)}", extra):
        loader = pkgutil.resolve_name(load)
        from zsc.models.base import choose_device, choose_precision

        if precisions:  # a folder of graphs has its own
            device = choose_device(device)
            precision = choose_precision(precision, device, (*precisions, "bfloat16", "int8"))
        if not precisions or (is_plain and precision in precisions):
            return loader(rest, device=device, precision=precision, **options)
        from zsc.models.openvino import check_possible, through_openvino

        check_possible(precision, device, calibrate)
        plain = loader(rest, device=device, precision="float32", engine="openvino", **options)
        return through_openvino(plain, precision, calibrate)


def auto_model() -> tuple[str, str]:
    """Choose a model that needs no download, and say why: ViT-B/32 where its weights are here, else "conse"."""
    if weights_are_here("ViT-B/32"):
        return "ViT-B/32", f"OpenAI's weights are on this machine ({weights_path('ViT-B/32').name})"
    return "conse", "OpenAI's ViT-B/32 is not on this machine, and nothing is downloaded unasked"


def as_encoder(model: "Encoder | str | os.PathLike[str]") -> "Encoder":
    """Return the encoder of a model: an encoder as it is, a name or a path as `load_model` loads it."""
    if isinstance(model, (str, os.PathLike)):
        return load_model(model)
    if not all(callable(getattr(model, name, None)) for name in ("encode_images", "encode_texts")):
        raise TypeError(f"model is {short(model)}; pass an encoder (zsc.load_model(name)), or a name such as 'auto'.")
    return model


def find_route(name: Any) -> tuple[str, tuple[str, tuple[str, ...]]]:
    """Find what of a model's name is passed on, and to what; a ValueError says that it names no model."""
    name = auto_model()[0] if name == "auto" else name
    if isinstance(name, str):
        for key, route in ROUTES.items():
            if name == key or (key.endswith(":") and name.startswith(key)):
                return name.removeprefix(key) or name, route
        is_file = os.path.isfile(os.path.expanduser(name))  # noqa: PTH111, PTH113  (pathlib's raise for some names)
        if is_file or name in available_models() or name.endswith((".pt", ".pth", ".bin", ".ckpt")):
            return name, OPENAI
    raise ValueError(
        f"no model {printable(short(name))}; a model must be one of auto, {', '.join(available_models())}, "
        "'open_clip:ARCH/TAG', 'hf:ID', or the path of a checkpoint in OpenAI's format."
    )
