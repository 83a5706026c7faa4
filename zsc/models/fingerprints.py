"""Checksums of what decides a model's numbers where no file of its own does: weights in memory, and configurations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

# of transformers' configurations: where a model came from and how it was kept, which changes no number
_NO_PART = {"architectures", "auto_map", "dtype", "name_or_path", "torch_dtype", "transformers_version"}


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Compute one sha256 over the names, types, shapes and values of tensors, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_of_config(config: Mapping[str, Any]) -> str:
    """Give sixteen hexadecimal digits of a configuration: layers, heads, activations; no versions, paths and names."""
    text = json.dumps(_computed(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _computed(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return config
    return {k: _computed(v) for k, v in config.items() if k not in _NO_PART and not str(k).startswith("_")}
