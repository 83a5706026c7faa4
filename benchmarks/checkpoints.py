"""Full-size checkpoints with random weights, for benchmarks and for comparing implementations.

Real weights cannot be downloaded everywhere; speed and arithmetic are the same for any weights. Checkpoints are built
once and cached in tests/.cache.
"""

import json
import sys
import types
from pathlib import Path
from typing import Any

import open_clip
import packaging.version
import torch
import transformers

from zsc.files import locked, write_whole

# clip-anytorch asks for pkg_resources.packaging, which setuptools no longer offers; OpenAI's own clip does not
stub = types.ModuleType("pkg_resources")
stub.packaging = packaging
sys.modules.setdefault("pkg_resources", stub)


CACHE = Path(__file__).parent.parent / "tests" / ".cache"
_ARCHITECTURES = {  # OpenAI's own sizes, as arguments of clip.model.CLIP
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12),
    "ViT-B-32": (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12),
}


def random_checkpoint(name: str) -> Path:
    """Build a full-size checkpoint with random weights in OpenAI's format (float16 state dict), once."""
    path = CACHE / f"{name}.pt"
    CACHE.mkdir(exist_ok=True)
    with locked(path):  # parallel test processes build it only once
        if not path.exists():
            from clip.model import CLIP, convert_weights

            torch.manual_seed(0)
            model = CLIP(*_ARCHITECTURES[name])
            spread_batch_norm(model)
            convert_weights(model)
            write_whole(path, lambda file: torch.save(model.state_dict(), file))
    return path


def spread_batch_norm(model: torch.nn.Module) -> None:
    """Fit the batch norms to noise, as training would; otherwise all pictures get nearly the same embedding."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.0)  # OpenAI starts some at zero, which hides whole blocks
        norm.momentum = None  # average over all batches
    if norms:
        with torch.no_grad():
            model.train().visual(torch.randn(8, 3, 224, 224) + torch.randn(8, 3, 1, 1))
        model.eval()


def hugging_face_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the tensors of OpenAI's ViT checkpoint as transformers names them."""
    tower = {"visual.": "vision_model.", "": "text_model."}
    layer = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    fixed = {
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.ln_pre.": "vision_model.pre_layrnorm.",
        "visual.ln_post.": "vision_model.post_layernorm.",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "ln_final.": "text_model.final_layer_norm.",
        "logit_scale": "logit_scale",
    }
    renamed = {
        "visual_projection.weight": state["visual.proj"].T,
        "text_projection.weight": state["text_projection"].T,
    }
    for name, value in state.items():
        prefix = "visual." if name.startswith("visual.") else ""
        rest = name.removeprefix(prefix)
        if rest.startswith("transformer.resblocks."):
            number, part = rest.removeprefix("transformer.resblocks.").split(".", 1)
            base = f"{tower[prefix]}encoder.layers.{number}."
            if part.startswith("attn.in_proj_"):
                kind = part.removeprefix("attn.in_proj_")
                for projection, piece in zip("qkv", value.chunk(3), strict=True):
                    renamed[f"{base}self_attn.{projection}_proj.{kind}"] = piece
                continue
            stem, kind = part.rsplit(".", 1)
            renamed[f"{base}{layer[stem]}.{kind}"] = value
            continue
        for old, new in fixed.items():
            if name == old or (old.endswith(".") and name.startswith(old)):
                renamed[name.replace(old, new)] = value
    return {k: v.float().contiguous() for k, v in renamed.items()}


def hugging_face_folder(checkpoint: Path, folder: Path) -> Path:
    """Write a ViT-B/32 checkpoint of OpenAI's format as a transformers folder, including tokenizer and processor."""
    model = transformers.CLIPModel(
        transformers.CLIPConfig(projection_dim=512, text_config={"eos_token_id": 49407, "bos_token_id": 49406})
    )
    missing, unexpected = model.load_state_dict(
        hugging_face_state(torch.load(checkpoint, weights_only=True)), strict=False
    )
    assert not unexpected and all("position_ids" in name for name in missing), (missing, unexpected)
    return save_hugging_face(model, folder)


def small_hugging_face(folder: Path, **vision: Any) -> Path:
    """Write a small CLIP with random weights as a transformers folder; `vision` changes its vision_config."""
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"eos_token_id": 49407, "bos_token_id": 49406}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        projection_dim=16, text_config=size | ends, vision_config=size | {"image_size": 32, "patch_size": 8} | vision
    )
    return save_hugging_face(transformers.CLIPModel(config), folder)


def save_hugging_face(model: Any, folder: Path) -> Path:
    """Write a CLIP of transformers with CLIP's tokenizer and image processor."""
    codec = open_clip.tokenizer.SimpleTokenizer()
    names = {codec.sot_token_id: "<|startoftext|>", codec.eot_token_id: "<|endoftext|>"}
    vocabulary = {names.get(i, token): i for token, i in codec.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in codec.bpe_ranks))
    transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=77).save_pretrained(folder)
    side = model.config.vision_config.image_size
    transformers.CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    ).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
