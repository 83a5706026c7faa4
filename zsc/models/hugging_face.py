"""Two-tower models through transformers (4 and 5), "hf:ID": a model of the Hugging Face hub, or a local folder of one.

Each family is read as its publisher reads it (`FAMILIES`), any other is refused. Pictures go through the model's own
processor; that of transformers 5 may crop one pixel further left than OpenAI's, so that embeddings differ a little.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, CLIPTokenizer, CLIPTokenizerFast

from zsc.models.base import Encoder, EncoderInfo, Tower, digest_of_config, sha256_of_tensors
from zsc.models.checkpoints import check_weights
from zsc.models.fast import EXAMPLES, example_pixels, faster, step_of
from zsc.models.tokens import MULTILINGUAL, LibraryTokenizer
from zsc.models.transforms import LibraryTransform
from zsc.models.weights import WeightsError, cached_first


class Family(NamedTuple):
    """How the publisher of a family turns texts into tokens."""

    limit: int | None = None  # tokens at most; None: as many as its text encoder has positions
    is_padded: bool = False  # all texts, to that limit
    has_mask: bool = True  # the encoder is told which tokens are padding
    cleaning: str = ""  # before the tokenizer
    languages: str = "English"


FAMILIES = {  # model_type in config.json
    "clip": Family(cleaning="lower"),  # openai/CLIP, clip/simple_tokenizer.py
    "metaclip_2": Family(77, cleaning="whitespace", languages="many"),  # facebookresearch/MetaCLIP, through open_clip
    "aimv2": Family(77, cleaning="lower"),  # apple/ml-aim, with CLIP's tokenizer
    "siglip": Family(None, True, False, "canonicalize"),  # google-research/big_vision, image_text/prompt_engineering.py
    "chinese_clip": Family(52, languages="Chinese"),  # OFA-Sys/Chinese-CLIP, cn_clip/clip/utils.py
    "altclip": Family(77, languages="many"),  # FlagAI, AltCLIP
    "align": Family(64, True),  # kakaobrain/coyo-align, as its processor in transformers
    "tipsv2": Family(64, True),  # google-deepmind/tips, as its processor in transformers
}


def load_hugging_face(name: str, *, device: str, precision: str, engine: str = "torch") -> Encoder:
    """Load a model by its hub ID or folder, with its own image processor and tokenizer."""
    folder, named, way_on = Path(name).expanduser(), f"hf:{name}", "give a local folder as 'hf:FOLDER'"
    load = partial(load_parts, str(folder) if folder.is_dir() else name, precision)
    model, processor, tokenizer = cached_first(load, named, is_local=folder.is_dir(), way_on=way_on)
    config = model.config
    family, text, vision = FAMILIES[config.model_type], config.text_config, config.vision_config
    limit = min(family.limit or text.max_position_embeddings, text.max_position_embeddings)
    tokens = LibraryTokenizer(tokenizer, limit, pad_to_limit=family.is_padded, cleaning=cleaning_of(family, tokenizer))
    bias = model.state_dict().get("logit_bias")
    transform = LibraryTransform(partial(_pixels, processor))
    info = EncoderInfo(
        name=named,
        library="transformers",
        embed_dim=int(getattr(config, "projection_dim", 0) or vision.hidden_size),
        image_size=transform(Image.new("RGB", (64, 64))).shape[-1],
        context_length=limit,
        logit_scale=check_weights(model, named),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
        architecture=f"{config.model_type} {digest_of_config(config.to_dict())}",
        activation=" and ".join(dict.fromkeys(str(getattr(c, "hidden_act", "SwiGLU")) for c in (vision, text))),
        logit_bias=None if bias is None else bias.item(),
        languages="many" if text.vocab_size > MULTILINGUAL else family.languages,
    )
    inputs = ("input_ids", "attention_mask") if family.has_mask else ("input_ids",)

    def towers(model: Any) -> tuple[Tower, Tower]:
        images, texts = model.get_image_features, model.get_text_features
        return partial(_embed, images, ("pixel_values",)), partial(_embed, texts, inputs)

    both = towers(model.to(device).eval().requires_grad_(False))
    if (device, precision, engine) == ("cpu", "float32", "torch"):
        both = faster(model, towers, (example_pixels(info.image_size), tokens(EXAMPLES)), named)
    return Encoder(info, transform, tokens, *both, step=step_of(model.vision_model))


def cleaning_of(family: Family, tokenizer: Any) -> str:
    """Return how texts are cleaned: as OpenAI's only before CLIP's own tokenizer, which was trained on nothing else."""
    is_clips = isinstance(tokenizer, (CLIPTokenizer, CLIPTokenizerFast))
    return "" if family.cleaning == "lower" and not is_clips else family.cleaning


def load_parts(name: str, precision: str) -> tuple[Any, Any, Any]:
    """Load network, image processor and tokenizer, running no code of the repository, with weights for all of it."""
    safe: dict[str, Any] = {"trust_remote_code": False}
    kind = AutoConfig.from_pretrained(name, **safe).model_type
    if kind not in FAMILIES:
        why = {"siglip2": " (pictures of any shape; a SigLIP 2 of a fixed size is of the type siglip)"}.get(kind, "")
        raise WeightsError(f"hf:{name} is of the type {kind}{why}; zsc computes {', '.join(FAMILIES)}.")
    options = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # these are refused below, by name
    model, loading = AutoModel.from_pretrained(name, dtype=getattr(torch, precision), **options, **safe)
    for problem in ("missing", "mismatched", "unexpected"):
        named = [key if isinstance(key, str) else key[0] for key in loading[f"{problem}_keys"]]
        if keys := sorted(key for key in named if not key.endswith("position_ids")):
            found = f"{', '.join(keys[:5])}{f' and {len(keys) - 5} more' if len(keys) > 5 else ''}"
            raise WeightsError(f"hf:{name}: {problem} weights: {found}; not as in its config.json: use a whole copy.")
    processor = AutoImageProcessor.from_pretrained(name, **safe)
    return model, processor, AutoTokenizer.from_pretrained(name, **safe)


def _pixels(processor: Any, image: Image.Image) -> Any:
    return processor(images=image, return_tensors="np")["pixel_values"][0]


def _embed(features: Callable[..., Any], inputs: tuple[str, ...], given: Any) -> torch.Tensor:
    """Embed pixels, or tokens by name; transformers returns a tensor up to version 4, an object from 5 on."""
    named = {"pixel_values": given} if isinstance(given, torch.Tensor) else given
    output = features(**{key: named[key] for key in inputs if key in named})
    return output if isinstance(output, torch.Tensor) else output.pooler_output
