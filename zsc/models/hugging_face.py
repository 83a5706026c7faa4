"""CLIP and SigLIP through transformers (4 and 5), "hf:ID": a model of the Hugging Face hub, or a local folder of one.

Pictures go through the model's own processor. In transformers 5 that resizes with torchvision, not Pillow, so that
embeddings differ a little from OpenAI's on the same weights (about 1e-2 of the pixel range at edges). Texts for CLIP's
own tokenizer are cleaned as OpenAI's does, which transformers leaves out; other tokenizers get them as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPTokenizer, CLIPTokenizerFast

from zsc.models.base import Encoder, EncoderInfo, digest_of_config, sha256_of_tensors
from zsc.models.checkpoints import check_weights
from zsc.models.tokens import LibraryTokenizer, clean_as_openai
from zsc.models.transforms import LibraryTransform
from zsc.models.weights import WeightsError, cached_first


def load_hugging_face(name: str, *, device: str, precision: str) -> Encoder:
    """Load a model by its hub ID or folder, with its own image processor and tokenizer."""
    folder = Path(name).expanduser()
    model, processor, tokenizer = cached_first(
        lambda: _load(str(folder) if folder.is_dir() else name, precision),
        f"hf:{name}",
        is_local=folder.is_dir(),
        way_on="give a local folder as 'hf:FOLDER'",
    )
    config, limit = model.config, int(model.config.text_config.max_position_embeddings)
    info = EncoderInfo(
        name=f"hf:{name}",
        library="transformers",
        embed_dim=int(getattr(config, "projection_dim", 0) or config.vision_config.hidden_size),
        image_size=int(config.vision_config.image_size),
        context_length=limit,
        logit_scale=check_weights(model, f"hf:{name}"),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
        architecture=f"{config.model_type} {digest_of_config(config.to_dict())}",
    )
    model = model.to(device).eval()
    is_clips = isinstance(tokenizer, (CLIPTokenizer, CLIPTokenizerFast))
    is_siglip = "siglip" in str(config.model_type)  # trained with every text padded to the limit
    tokens = LibraryTokenizer(tokenizer, limit, pad_to_limit=is_siglip, clean=clean_as_openai if is_clips else str)
    transform = LibraryTransform(partial(_pixels, processor))
    features = partial(_embed, model.get_image_features), partial(_embed, model.get_text_features)
    return Encoder(info, transform, tokens, *features)


def _load(name: str, precision: str) -> tuple[Any, Any, Any]:
    """Load network, image processor and tokenizer, running no code of the repository, with weights for all of it."""
    model, loading = AutoModel.from_pretrained(
        name,
        dtype=getattr(torch, precision),
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, by name
        trust_remote_code=False,
    )
    if not hasattr(model, "get_image_features") or not hasattr(model, "logit_scale"):
        raise WeightsError(f"hf:{name}: a {model.config.model_type} is no CLIP or SigLIP; it has no two encoders.")
    for problem in ("missing", "mismatched", "unexpected"):
        named = [key if isinstance(key, str) else key[0] for key in loading[f"{problem}_keys"]]
        if keys := sorted(key for key in named if not key.endswith("position_ids")):
            more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
            raise WeightsError(
                f"hf:{name}: {problem} weights: {', '.join(keys[:5])}{more}; they are not those of its config.json, "
                "and transformers would go on with random numbers or without them; use a whole copy."
            )
    processor = AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    return model, processor, AutoTokenizer.from_pretrained(name, trust_remote_code=False)


def _pixels(processor: Any, image: Image.Image) -> Any:
    return processor(images=image, return_tensors="np")["pixel_values"][0]


def _embed(features: Callable[..., Any], given: Any) -> torch.Tensor:
    """Embed pixels, or tokens by name; transformers returns a tensor up to version 4, an object from 5 on."""
    named = {"pixel_values": given} if isinstance(given, torch.Tensor) else given
    output = features(**{k: named[k] for k in ("pixel_values", "input_ids", "attention_mask") if k in named})
    return output if isinstance(output, torch.Tensor) else output.pooler_output
