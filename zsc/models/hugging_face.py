"""CLIP and SigLIP through transformers (4 and 5), "hf:ID": a model of the Hugging Face hub, or a local folder of one.

Pictures go through the model's own processor. In transformers 5 that resizes with torchvision, not Pillow, so that
embeddings differ a little from OpenAI's on the same weights (about 1e-2 of the pixel range at edges).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from zsc.models.acceleration import as_dtype
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.fingerprints import sha256_of_tensors
from zsc.models.tokens import LibraryTokenizer
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
        self.tokenizer = LibraryTokenizer(tokenizer, info.context_length, pad_to_limit=is_siglip)

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
        If it is not on this machine and cannot be fetched.
    ValueError
        If it is no model with an image and a text encoder.
    """
    try:
        model = AutoModel.from_pretrained(name, dtype=as_dtype(precision))
        processor = AutoImageProcessor.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"hf:{name}: not on this machine and not to be loaded ({' '.join(str(error).split())[:200]}). Two ways on: "
            "give a local folder as 'hf:FOLDER'; or use load_model('conse'), which needs no download."
        ) from error
    if not hasattr(model, "get_image_features") or not hasattr(model, "logit_scale"):
        raise ValueError(f"hf:{name}: a {model.config.model_type} is no CLIP or SigLIP; it has no two encoders.")
    model = model.to(device).eval()
    config = model.config
    info = EncoderInfo(
        name=f"hf:{name}",
        library="transformers",
        embed_dim=int(getattr(config, "projection_dim", 0) or config.vision_config.hidden_size),
        image_size=int(config.vision_config.image_size),
        context_length=int(config.text_config.max_position_embeddings),
        logit_scale=float(model.logit_scale.detach().float().exp()),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
    )
    return HuggingFaceEncoder(model, info, processor, tokenizer)


def _embedding(output: Any) -> torch.Tensor:
    """Take the embedding out of what transformers gives: a tensor up to version 4, an object from 5 on."""
    embedding: torch.Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    return embedding
