"""CLIP's two transformers with the same numbers in less time: a vision transformer and the text encoder.

Both are built from the weights of OpenAI's `clip.model` or of open_clip's equal, and stay within 1e-5 of them. Three
things make the difference: the batch stays first, products with weights go through oneDNN, and the text encoder reads
no further than the longest text of the batch.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

QUICK_GELU = 1.702  # openai/CLIP, clip/model.py: x * sigmoid(1.702 * x)

Linear = Callable[[torch.Tensor], torch.Tensor]


class VisionTower(nn.Module):
    """A CLIP vision transformer.

    Parameters
    ----------
    visual
        The `visual` of a CLIP in OpenAI's format, a vision transformer.
    """

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.patches = visual.conv1
        self.class_embedding, self.positions = visual.class_embedding, visual.positional_embedding
        self.norm_in, self.norm_out, self.projection = visual.ln_pre, visual.ln_post, visual.proj
        self.blocks = nn.ModuleList(Block(b) for b in visual.transformer.resblocks)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels (N, 3, S, S) as (N, D)."""
        patches = self.patches(pixels).flatten(2).transpose(1, 2)  # (N, tokens - 1, width)
        x = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
        x = self.norm_in(x + self.positions)
        for block in self.blocks:
            x = block(x)
        return self.norm_out(x[:, 0]) @ self.projection


class TextTower(nn.Module):
    """CLIP's text encoder.

    A token sees only those before it, and a text is read at its end token: what comes after the longest text of a
    batch changes nothing and is not computed. Prompts of ten tokens cost about an eighth of what 77 would.

    Parameters
    ----------
    model
        A CLIP in OpenAI's format.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tokens, self.positions = model.token_embedding, model.positional_embedding
        self.norm_out, self.projection = model.ln_final, model.text_projection
        self.blocks = nn.ModuleList(Block(b, is_causal=True) for b in model.transformer.resblocks)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embed token ids (M, 77) as (M, D)."""
        ends = tokens.argmax(dim=1)  # the end token has the highest id
        length = int(ends.max()) + 1 if len(ends) else 1
        x = self.tokens(tokens[:, :length]) + self.positions[:length]  # (M, length, width)
        for block in self.blocks:
            x = block(x)
        return self.norm_out(x[torch.arange(len(x), device=x.device), ends]) @ self.projection


class Block(nn.Module):
    """One layer of a transformer: attention, then two products with QuickGELU between, each added to what was there.

    Parameters
    ----------
    block
        The library's ResidualAttentionBlock.
    is_causal
        Whether a token sees only itself and those before it.

    Raises
    ------
    ValueError
        If the block computes another activation than OpenAI's.
    """

    def __init__(self, block: Any, *, is_causal: bool = False) -> None:
        super().__init__()
        activation = type(block.mlp.gelu).__name__
        if activation != "QuickGELU":
            raise ValueError(f"a model with {activation} is not in OpenAI's format; load it as 'open_clip:ARCH/PATH'.")
        self.heads, self.is_causal = block.attn.num_heads, is_causal
        self.norm_1, self.norm_2 = block.ln_1, block.ln_2
        self.to_heads = as_linear(block.attn.in_proj_weight, block.attn.in_proj_bias)
        self.from_heads = as_linear(block.attn.out_proj.weight, block.attn.out_proj.bias)
        # x * sigmoid(a x) is SiLU(a x) / a, and both factors go into the weights: no pass over the values is left
        up, down = block.mlp.c_fc, block.mlp.c_proj
        self.up = as_linear(up.weight * QUICK_GELU, up.bias * QUICK_GELU, silu=True)
        self.down = as_linear(down.weight / QUICK_GELU, down.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Go from (N, tokens, width) to the same shape."""
        x = x + self.attend(self.norm_1(x))
        return x.add_(self.down(self.up(self.norm_2(x))))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Compute self-attention over (N, tokens, width)."""
        n, tokens, width = x.shape
        query, key, value = self.to_heads(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)
        return self.from_heads(mixed.transpose(1, 2).reshape(n, tokens, width))


def as_linear(weight: torch.Tensor, bias: torch.Tensor, *, silu: bool = False) -> Linear:
    """Give x -> x W^T + b, with SiLU after it where asked; through oneDNN on CPUs where torch has it."""
    weight, bias = weight.detach(), bias.detach()
    if has_onednn() and weight.device.type == "cpu" and weight.dtype == torch.float32:
        return OneDnnLinear(weight, bias, silu=silu)
    return functools.partial(_plain_linear, weight=weight, bias=bias, silu=silu)


class OneDnnLinear(nn.Module):
    """x W^T + b through oneDNN, with W put into its blocks once; for inference, it has no gradient.

    torch's own way is MKL, which reaches about half the speed on AMD's CPUs. torch.compile uses this operation too.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, *, silu: bool) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
        self.bias, self.activation = bias, "swish" if silu else "none"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Go from (..., width in) to (..., width out)."""
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "")
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle W as it was: torch can do neither with oneDNN's blocks, and another machine may have none."""
        return _rebuild, (self.weight.to_dense(), self.bias, self.activation == "swish")


def _rebuild(weight: torch.Tensor, bias: torch.Tensor, silu: bool) -> Linear:
    return as_linear(weight, bias, silu=silu)


@functools.cache
def has_onednn() -> bool:
    """Tell whether torch multiplies through oneDNN here, and rightly; tried once, as torch promises nothing of it."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():
        return False
    weight, bias, x = 2 * torch.eye(16), torch.ones(16), torch.ones(2, 3, 16)
    try:
        with torch.inference_mode():
            ours = OneDnnLinear(weight, bias, silu=True)(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(ours, F.silu(F.linear(x, weight, bias)), atol=1e-5)


def _plain_linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor, silu: bool) -> torch.Tensor:
    out = F.linear(x, weight, bias)
    return F.silu(out) if silu else out
