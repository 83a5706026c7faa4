"""OpenAI's CLIP: the published checkpoints by name, and any checkpoint in their format by path.

The architecture is OpenAI's `clip` where that is installed, else open_clip's; the weights are the same file either
way, texts are read by one and the same tokenizer, and the two agree to 1e-5 in float32 (tested). Which one it was
stands in `Encoder.info.library`.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zsc.files import digest_of
from zsc.models.acceleration import as_dtype, faster
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.checkpoints import check_weights, learned_scale, read_state_dict
from zsc.models.tokens import BytePairTokenizer, openai_codec
from zsc.models.towers import TextTower
from zsc.models.transforms import ImageTransform
from zsc.models.weights import OPENAI_WEIGHTS, WeightsError, get_weights

OPENAI_GIT = "git+https://github.com/openai/CLIP.git"
_NEEDED = ("logit_scale", "positional_embedding", "text_projection", "token_embedding.weight", "visual.conv1.weight")


class OpenAIEncoder(Encoder):
    """A CLIP in OpenAI's format.

    Parameters
    ----------
    model
        The network, of `clip.model.CLIP` or open_clip's equal.
    info
        What it is.
    """

    def __init__(self, model: Any, info: EncoderInfo) -> None:
        self.info = info
        self.image_encoder = faster(
            model.visual, engine=info.engine, precision=info.precision, image_size=info.image_size
        )
        self.text_encoder = TextTower(model) if info.precision == "float32" else model.encode_text
        self.transform = ImageTransform(info.image_size)
        self.tokenizer = BytePairTokenizer(openai_codec(info.library), info.context_length)

    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed transformed pictures (N, 3, S, S) as (N, D)."""
        return self.image_encoder(pixels.to(as_dtype(self.info.precision)))

    def embed_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embed token ids (M, 77) as (M, D)."""
        out: torch.Tensor = self.text_encoder(tokens.to(self.info.device))
        return out


def load_published(
    name: str, *, device: str, precision: str, library: str = "auto", engine: str = "torch"
) -> OpenAIEncoder:
    """Load one of OpenAI's checkpoints by name, fetching the weights where they are missing."""
    path, sha256 = get_weights(name), OPENAI_WEIGHTS[name].sha256  # get_weights has compared them
    return load_checkpoint(
        path, name=name, sha256=sha256, device=device, precision=precision, library=library, engine=engine
    )


def load_checkpoint(
    path: Path,
    *,
    device: str,
    precision: str,
    name: str | None = None,
    sha256: str | None = None,
    library: str = "auto",
    engine: str = "torch",
) -> OpenAIEncoder:
    """Load a checkpoint in OpenAI's format: a TorchScript archive or a state dict; none of its code is run.

    As OpenAI's own loader does, weights are rounded to float16 on the way, also where the file holds float32.
    A file does not say which activation it was trained with: OpenAI's QuickGELU and heads of 64 are computed. Files of
    open_clip have the same keys; those load as 'open_clip:ARCH/PATH'.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or in another format.
    ImportError
        If `library` is asked for by name and cannot be used.
    """
    state_dict = read_state_dict(path, _NEEDED)
    library = choose_library(library)
    model, image_size = _build(state_dict, library, path)
    check_weights(model.state_dict(), str(path))
    info = EncoderInfo(
        name=name or str(path),
        library=library,
        embed_dim=state_dict["text_projection"].shape[1],
        image_size=image_size,
        context_length=state_dict["positional_embedding"].shape[0],
        logit_scale=learned_scale(state_dict["logit_scale"], str(path)),
        weights_sha256=sha256 or digest_of(path),
        device=device,
        precision=precision,
        engine=engine,
        architecture="QuickGELU, heads of 64",
    )
    model = model.to(device)  # fp16 weights so far, as OpenAI's loader leaves them
    return OpenAIEncoder(model.float() if precision == "float32" else model, info)


def choose_library(library: str = "auto") -> str:
    """Choose the package that holds the architecture: OpenAI's `clip` where it works, else open_clip.

    Raises
    ------
    ImportError
        If `clip` is asked for by name and is missing, broken or another package of that name.
    """
    if library == "open_clip":
        return library
    problem = _problem_with_clip()
    if problem is None:
        return "clip"
    if library == "clip":
        raise ImportError(f"{problem} Or use library='open_clip', which gives the same embeddings.")
    is_old_wheel = (
        "pkg_resources" in problem
    )  # as this project's own tests use one: nothing is lost, so nothing is said
    if importlib.util.find_spec("clip") is not None and not is_old_wheel:
        warnings.warn(f"{problem} Going on with open_clip and the same weights.", stacklevel=2)
    return "open_clip"


def _problem_with_clip() -> str | None:
    """Say why `import clip` cannot be used, or None where it can."""
    try:
        clip: Any = importlib.import_module("clip")
    except ImportError as error:
        if error.name == "clip":
            return f"OpenAI's clip is not installed: pip install {OPENAI_GIT}."
        return f"clip is installed but cannot be imported ({error}); OpenAI's own: pip install {OPENAI_GIT}."
    if not hasattr(clip, "load") or not hasattr(clip, "model"):
        return (
            "the installed package clip is not OpenAI's (it has no load): pip uninstall clip, then "
            f"pip install {OPENAI_GIT}."
        )
    return None


def _build(state_dict: Mapping[str, torch.Tensor], library: str, path: Path) -> tuple[torch.nn.Module, int]:
    """Build the network with the state dict in it; give it and its image size."""
    try:
        if library == "clip":
            clip_model: Any = importlib.import_module("clip.model")
            model = clip_model.build_model(dict(state_dict))
            return model, int(model.visual.input_resolution)
        from open_clip.model import build_model_from_openai_state_dict

        model = build_model_from_openai_state_dict(dict(state_dict), cast_dtype=torch.float16)
        size = model.visual.image_size
        return model, int(size[0] if isinstance(size, (tuple, list)) else size)
    except Exception as error:  # both work out the sizes from the tensors, and fail in many ways
        lacks = "it lacks " if isinstance(error, KeyError) else ""
        said = " ".join(str(error).split()).removeprefix("Error(s) in loading state_dict for CLIP: ")
        raise WeightsError(
            f"{path} does not hold exactly the tensors of a CLIP in OpenAI's format: {lacks}{said[:400]}"
        ) from error
