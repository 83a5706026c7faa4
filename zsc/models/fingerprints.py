"""Checksums of weights in memory, for models that come without one file of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Compute one sha256 over the names, types, shapes and values of tensors, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
