"""The towers of OpenAI's CLIP in less time: the same numbers, for inference only.

The plain towers are the library's own, and the truth: in float32 these stay within 1e-5 of them (OpenVINO's within
1e-4), as the tests hold; in float16 the plain ones are used as they are. `make bench` measures both.
"""

from __future__ import annotations

import functools
import io
import platform
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zsc.models.base import Tower

QUICK_GELU = 1.702  # openai/CLIP, clip/model.py: x * sigmoid(1.702 * x)


def fast_towers(model: Any, *, engine: str, precision: str, image_size: int) -> tuple[Tower, Tower]:
    """Return the image and the text encoder of a CLIP in OpenAI's format, as fast as they can be; `model` may change.

    The first goes from pixels (N, 3, S, S) to (N, D), where S is `image_size`; the second from ids (M, 77) to (M, D).
    """
    visual = model.visual.eval()
    if precision != "float32":
        return visual, model.encode_text
    if engine == "openvino":
        return OpenVinoEncoder(visual, image_size), TextTower(model)
    if hasattr(visual, "transformer"):
        return VisionTower(visual), TextTower(model)
    return fold_batch_norms(visual).to(memory_format=torch.channels_last), TextTower(model)


def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Fold every batch norm of a CLIP ResNet into the convolution before it (conv1, bn1; ...; downsample 0, 1)."""
    for child in module.children():
        fold_batch_norms(child)
    layers = module._modules
    for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")):
        if isinstance(layers.get(conv), nn.Conv2d) and isinstance(layers.get(norm), nn.BatchNorm2d):
            layers[conv], layers[norm] = fuse_conv_bn_eval(layers[conv], layers[norm]), nn.Identity()
    return module


class VisionTower(nn.Module):
    """A CLIP vision transformer."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.patches = visual.conv1
        self.class_embedding, self.positions = visual.class_embedding, visual.positional_embedding
        self.norm_in, self.norm_out, self.projection = visual.ln_pre, visual.ln_post, visual.proj
        self.blocks = nn.Sequential(*(Block(b) for b in visual.transformer.resblocks))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels (N, 3, S, S) as (N, D)."""
        patches = self.patches(pixels).flatten(2).transpose(1, 2)  # (N, tokens - 1, width)
        x = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
        x = self.blocks(self.norm_in(x + self.positions))
        return self.norm_out(x[:, 0]) @ self.projection


class TextTower(nn.Module):
    """CLIP's text encoder.

    A token sees only those before it, and a text is read at its end token: what comes after the longest text of a
    batch changes nothing and is not computed. Prompts of ten tokens cost about an eighth of what 77 would.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tokens, self.positions = model.token_embedding, model.positional_embedding
        self.norm_out, self.projection = model.ln_final, model.text_projection
        self.blocks = nn.Sequential(*(Block(b, is_causal=True) for b in model.transformer.resblocks))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embed token ids (M, 77) as (M, D)."""
        ends = tokens.argmax(dim=1)  # the end token has the highest id
        length = int(ends.max()) + 1 if len(ends) else 1
        x = self.blocks(self.tokens(tokens[:, :length]) + self.positions[:length])  # (M, length, width)
        return self.norm_out(x[torch.arange(len(x), device=x.device), ends]) @ self.projection


class Block(nn.Module):
    """One layer of a transformer: attention, then two products with QuickGELU between, each added to its input.

    It is made of the library's ResidualAttentionBlock; one that computes another activation is refused. Where it
    `is_causal`, a token sees only itself and those before it.
    """

    def __init__(self, block: Any, *, is_causal: bool = False) -> None:
        super().__init__()
        x = torch.linspace(-3, 3, 9)
        if not torch.allclose(block.mlp.gelu(x), x * torch.sigmoid(QUICK_GELU * x), atol=1e-6):
            activation = type(block.mlp.gelu).__name__
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
        n, tokens, width = x.shape
        shape = (n, tokens, 3, self.heads, width // self.heads)
        query, key, value = self.to_heads(self.norm_1(x)).view(shape).permute(2, 0, 3, 1, 4)  # (N, heads, tokens, ...)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)
        x = x + self.from_heads(mixed.transpose(1, 2).reshape(n, tokens, width))
        return x.add_(self.down(self.up(self.norm_2(x))))


def as_linear(weight: torch.Tensor, bias: torch.Tensor, *, silu: bool = False) -> Tower:
    """Return x -> x W^T + b, with SiLU after it where asked; through oneDNN on CPUs where torch has it."""
    weight, bias = weight.detach(), bias.detach()
    if has_onednn() and weight.device.type == "cpu" and weight.dtype == torch.float32:
        return OneDnnLinear(weight, bias, silu=silu)
    return functools.partial(plain_linear, weight=weight, bias=bias, silu=silu)


def plain_linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor, silu: bool) -> torch.Tensor:
    """Compute x W^T + b by torch's own product: the truth that oneDNN's must equal."""
    out = F.linear(x, weight, bias)
    return F.silu(out) if silu else out


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
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "")

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle W as it was: torch can do neither with oneDNN's blocks, and another machine may have none."""
        silu = self.activation == "swish"
        return functools.partial(as_linear, silu=silu), (self.weight.to_dense(), self.bias)


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
    return torch.allclose(ours, plain_linear(x, weight=weight, bias=bias, silu=True), atol=1e-5)


class OpenVinoEncoder:
    """An image encoder, or the bytes of a compiled one, compiled by OpenVINO for the CPU with as many threads as torch.

    May be called from several threads. A copy, or one that is sent to another process, is compiled again there.
    """

    def __init__(self, visual: nn.Module | bytes, image_size: int = 0) -> None:
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        if isinstance(visual, bytes):
            self.compiled = openvino.Core().import_model(io.BytesIO(visual), "CPU", settings)
            return
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's remarks on shapes that are constant here
            example = torch.zeros(2, 3, image_size, image_size)
            graph = openvino.convert_model(visual, example_input=example, input=[-1, 3, image_size, image_size])
        self.compiled = openvino.Core().compile_model(graph, "CPU", settings)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels (N, 3, S, S) as (N, D)."""
        request = self.compiled.create_infer_request()  # of this call alone: a shared one mixes the threads' pictures
        return torch.from_numpy(np.array(request.infer(pixels.numpy())[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was compiled as OpenVINO exports it."""
        exported = io.BytesIO()
        self.compiled.export_model(exported)
        return OpenVinoEncoder, (exported.getvalue(),)
