"""CLIP and SigLIP through transformers (4 and 5), "hf:ID": a model of the Hugging Face hub, or a local folder of one.

Pictures go through the model's own processor. In transformers 5 that resizes with torchvision, not Pillow, so that
embeddings differ a little from OpenAI's on the same weights (about 1e-2 of the pixel range at edges). Texts for CLIP's
own tokenizer are cleaned as OpenAI's does, which transformers leaves out; other tokenizers get them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from zsc.models.acceleration import as_dtype
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.checkpoints import check_weights, learned_scale
from zsc.models.fingerprints import digest_of_config, sha256_of_tensors
from zsc.models.hub import cached_first
from zsc.models.tokens import LibraryTokenizer, clean_as_openai
from zsc.models.weights import WeightsError


@dataclass(frozen=True)
class ProcessorTransform:
    """A transformers image processor as a transform.

    Attributes
    ----------
    processor
        The model's own image processor.
    """

    processor: Any

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32."""
        return np.asarray(self.processor(images=image, return_tensors="np")["pixel_values"][0], dtype=np.float32)


class HuggingFaceEncoder(Encoder):
    """A two-tower model of transformers with `get_image_features` and `get_text_features`.

    Parameters
    ----------
    model
        The network.
    info
        What it is.
    processor, tokenizer
        The model's own image processor and tokenizer.
    """

    def __init__(self, model: Any, info: EncoderInfo, processor: Any, tokenizer: Any) -> None:
        self.model = model
        self.info = info
        self.transform = ProcessorTransform(processor)
        is_siglip = "siglip" in str(model.config.model_type)  # trained with every text padded to the limit
        is_clips = type(tokenizer).__name__.startswith("CLIPTokenizer")
        self.tokenizer = LibraryTokenizer(
            tokenizer, info.context_length, pad_to_limit=is_siglip, clean=clean_as_openai if is_clips else None
        )

    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed transformed pictures (N, 3, S, S) as (N, D)."""
        return _embedding(self.model.get_image_features(pixel_values=pixels.to(as_dtype(self.info.precision))))

    def embed_tokens(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Embed tokens (M, length) as (M, D)."""
        accepted = {k: v.to(self.info.device) for k, v in tokens.items() if k in ("input_ids", "attention_mask")}
        return _embedding(self.model.get_text_features(**accepted))


def load_hugging_face(name: str, *, device: str, precision: str) -> HuggingFaceEncoder:
    """Load a model by its hub ID or folder, with its own image processor and tokenizer.

    Raises
    ------
    WeightsError
        If it is not on this machine and cannot be fetched, lacks weights, or is no model with an image and a text
        encoder.
    """
    folder = Path(name).expanduser()
    model, processor, tokenizer = cached_first(
        lambda: _load(str(folder) if folder.is_dir() else name, precision),
        f"hf:{name}",
        is_local=folder.is_dir(),
        way_on="give a local folder as 'hf:FOLDER'",
    )
    check_weights(model.state_dict(), f"hf:{name}")
    model = model.to(device).eval()
    config = model.config
    info = EncoderInfo(
        name=f"hf:{name}",
        library="transformers",
        embed_dim=int(getattr(config, "projection_dim", 0) or config.vision_config.hidden_size),
        image_size=int(config.vision_config.image_size),
        context_length=int(config.text_config.max_position_embeddings),
        logit_scale=learned_scale(model.logit_scale, f"hf:{name}"),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
        architecture=f"{config.model_type} {digest_of_config(config.to_dict())}",
    )
    return HuggingFaceEncoder(model, info, processor, tokenizer)


def _load(name: str, precision: str) -> tuple[Any, Any, Any]:
    """Load network, image processor and tokenizer, running no code of the repository, with weights for all of it."""
    model, loading = AutoModel.from_pretrained(
        name,
        dtype=as_dtype(precision),
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, by name
        trust_remote_code=False,
    )
    if not hasattr(model, "get_image_features") or not hasattr(model, "logit_scale"):
        raise WeightsError(f"hf:{name}: a {model.config.model_type} is no CLIP or SigLIP; it has no two encoders.")
    for problem in ("missing", "mismatched", "unexpected"):
        named = [key if isinstance(key, str) else key[0] for key in loading[f"{problem}_keys"]]
        keys = sorted(key for key in named if not key.endswith("position_ids"))
        if keys:
            more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
            raise WeightsError(
                f"hf:{name}: {problem} weights: {', '.join(keys[:5])}{more}; they are not those of its config.json, "
                "and transformers would go on with random numbers or without them; take a whole copy."
            )
    return (
        model,
        AutoImageProcessor.from_pretrained(name, trust_remote_code=False),
        AutoTokenizer.from_pretrained(name, trust_remote_code=False),
    )


def _embedding(output: Any) -> torch.Tensor:
    """Take the embedding out of what transformers gives: a tensor up to version 4, an object from 5 on."""
    embedding: torch.Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    return embedding
