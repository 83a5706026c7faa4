"""OpenAI's CLIP: the published checkpoints by name, and any checkpoint in their format by path.

The architecture is OpenAI's `clip` where that is installed, else open_clip's (`Encoder.info.library` tells); the
weights are the same file either way, and the two agree to 1e-5 in float32 (tested).
"""

import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import build_model_from_openai_state_dict
from open_clip.tokenizer import SimpleTokenizer

from zsc.files import digest_of
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.checkpoints import check_weights, read_state_dict
from zsc.models.fast import TextTower, lightened
from zsc.models.tokens import LITERALS, as_byte_pairs
from zsc.models.transforms import ImageTransform
from zsc.models.weights import OPENAI_WEIGHTS, WeightsError, get_weights

OPENAI_GIT = "git+https://github.com/openai/CLIP.git"
TOY = Path(__file__).parent.parent / "toy" / "toy.pt"
NEEDED = ("logit_scale", "positional_embedding", "text_projection", "token_embedding.weight", "visual.conv1.weight")


def load_openai(name: str, *, device: str, precision: str, library: str = "auto", engine: str = "torch") -> Encoder:
    """Load one of OpenAI's checkpoints, downloading it where it is missing; the toy; or a file in the same format.

    Such a file is a TorchScript archive or a state dict; none of its code is run. As in OpenAI's own loader, weights
    are rounded to float16 on the way. No file says its activation: QuickGELU and heads of 64 are computed. Files of
    open_clip have the same keys; those load as 'open_clip:ARCH/PATH'.
    """
    model, image_size, path, library = build(name, library)
    info = EncoderInfo(
        name=name,
        library=library,
        embed_dim=model.text_projection.shape[1],
        image_size=image_size,
        context_length=model.positional_embedding.shape[0],
        logit_scale=check_weights(model, str(path)),
        weights_sha256=OPENAI_WEIGHTS[name].sha256 if name in OPENAI_WEIGHTS else digest_of(path),
        device=device,
        precision=precision,
        architecture="heads of 64",
        activation="QuickGELU",
    )
    model = model.to(device).eval().requires_grad_(False)  # fp16 weights so far, as OpenAI's loader leaves them
    model = model.float() if precision == "float32" else model
    towers = model.visual, model.encode_text
    if precision == "float32" and engine != "onnx":
        towers = lightened(model.visual) if engine == "torch" else model.visual, TextTower(model)
    tokenizer = as_byte_pairs(SimpleTokenizer(context_length=info.context_length), LITERALS)  # with OpenAI's merges
    return Encoder(info, ImageTransform(image_size), tokenizer, *towers)


def choose_library(library: str = "auto") -> str:
    """Choose the package that holds the architecture: OpenAI's `clip` where it works or is asked for, or open_clip."""
    if library == "open_clip":
        return library
    try:
        clip: Any = importlib.import_module("clip")
        if hasattr(clip, "load") and hasattr(clip, "model"):
            return "clip"
        problem = f"the installed package clip is not OpenAI's: pip uninstall clip, then pip install {OPENAI_GIT}."
    except ImportError as error:
        fault = "not installed" if error.name == "clip" else f"installed but cannot be imported ({error})"
        problem = f"OpenAI's clip is {fault}: pip install {OPENAI_GIT}."
    if library == "clip":
        raise ImportError(f"{problem} Or use library='open_clip', which computes the same embeddings.")
    logging.getLogger("zsc").info("%s Going on with open_clip and the same weights.", problem)
    return "open_clip"


def build(name: str, library: str = "auto") -> tuple[Any, int, Path, str]:
    """Build the network of a checkpoint by a library's own code; return it, its image size, its file, the library."""
    path = get_weights(name) if name in OPENAI_WEIGHTS else TOY if name == "toy" else Path(name).expanduser()
    state_dict = read_state_dict(path, NEEDED)
    library = choose_library(library)
    try:
        if library == "clip":
            model = importlib.import_module("clip.model").build_model(state_dict)
            return model, int(model.visual.input_resolution), path, library
        model = build_model_from_openai_state_dict(state_dict, cast_dtype=torch.float16)
        return model, int(np.max(model.visual.image_size)), path, library  # a number, or two equal ones
    except Exception as error:  # both work out the sizes from the tensors, and fail in many ways
        said = " ".join(str(error).split()).removeprefix("Error(s) in loading state_dict for CLIP: ")[:400]
        why = f"it lacks {said}" if isinstance(error, KeyError) else said
        raise WeightsError(f"{path} does not hold exactly the tensors of a CLIP in OpenAI's format: {why}") from error
