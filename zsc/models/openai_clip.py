"""OpenAI's CLIP: the published checkpoints by name, and any checkpoint in their format by path.

The architecture is OpenAI's `clip` where that is installed, else open_clip's; the weights are the same file either
way, and the two agree to 1e-5 in float32 (tested). Which one it was stands in `Encoder.info.library`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zsc.files import digest_of
from zsc.models.acceleration import as_dtype, faster
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.tokens import BytePairTokenizer
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
    codec
        The library's SimpleTokenizer.
    """

    def __init__(self, model: Any, info: EncoderInfo, codec: Any) -> None:
        self.info = info
        self.image_encoder = faster(
            model.visual, engine=info.engine, precision=info.precision, image_size=info.image_size
        )
        self.text_encoder = TextTower(model) if info.precision == "float32" else model.encode_text
        self.transform = ImageTransform(info.image_size)
        self.tokenizer = BytePairTokenizer(codec, info.context_length)

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
    """Load a checkpoint in OpenAI's format: a TorchScript archive, or a state dict (read with weights_only).

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
    state_dict = read_state_dict(path)
    library = choose_library(library)
    model, image_size, codec = _build(state_dict, library)
    info = EncoderInfo(
        name=name or str(path),
        library=library,
        embed_dim=state_dict["text_projection"].shape[1],
        image_size=image_size,
        context_length=state_dict["positional_embedding"].shape[0],
        logit_scale=float(state_dict["logit_scale"].detach().float().exp()),
        weights_sha256=sha256 or digest_of(path),
        device=device,
        precision=precision,
        engine=engine,
    )
    model = model.to(device)  # fp16 weights so far, as OpenAI's loader leaves them
    return OpenAIEncoder(model.float() if precision == "float32" else model, info, codec)


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


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint in OpenAI's format, without running code from the file.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; pass a checkpoint in OpenAI's format, or a name of load_model.")
    try:
        content = _torchscript_tensors(path) if is_torchscript(path) else _plain_tensors(path)
    except (RuntimeError, OSError, EOFError, TypeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{path}: not a checkpoint that can be read ({path.stat().st_size:,} bytes; it is damaged, cut short or "
            f"holds more than tensors); put a whole file into {path.parent}."
        ) from error
    missing = [k for k in _NEEDED if k not in content]
    if missing:
        raise WeightsError(
            f"{path}: no CLIP in OpenAI's format, it lacks {', '.join(missing)}; other weights load as "
            "'open_clip:ARCH/TAG' or 'hf:ID'."
        )
    return content


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive, as OpenAI published its weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _torchscript_tensors(path: Path) -> dict[str, torch.Tensor]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())


def _plain_tensors(path: Path) -> dict[str, torch.Tensor]:
    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise TypeError(f"holds a {type(content).__name__}")
    return {str(k).removeprefix("module."): v for k, v in content.items()}


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


def _build(state_dict: Mapping[str, torch.Tensor], library: str) -> tuple[torch.nn.Module, int, Any]:
    """Build the network with the state dict in it; give it, its image size and the library's tokenizer."""
    tensors = dict(state_dict)  # both builders take keys away
    if library == "clip":
        clip_model: Any = importlib.import_module("clip.model")
        tokens: Any = importlib.import_module("clip.simple_tokenizer")
        model = clip_model.build_model(tensors)
        return model, int(model.visual.input_resolution), tokens.SimpleTokenizer()
    from open_clip.model import build_model_from_openai_state_dict
    from open_clip.tokenizer import SimpleTokenizer

    model = build_model_from_openai_state_dict(tensors, cast_dtype=torch.float16)
    size = model.visual.image_size
    return model, int(size[0] if isinstance(size, (tuple, list)) else size), SimpleTokenizer()
