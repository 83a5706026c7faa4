"""Where and how a model computes: device, precision, engine; and the same numbers in less time.

The torch engine stays within 1e-5 of the library's own numbers, OpenVINO within 1e-4; `make bench` measures both.
"""

from __future__ import annotations

import functools
import io
import platform
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

PRECISIONS = ("float32", "float16")
ENGINES = ("torch", "openvino")


def choose_device(device: str = "auto") -> str:
    """Choose the device: for "auto" the first of cuda, mps and cpu that is there.

    Raises
    ------
    ValueError
        If the device is unknown or not on this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(d for d, present in there.items() if present)
    kind = device.partition(":")[0]
    if kind not in there:
        raise ValueError(f"device={device!r}; device must be one of auto, cuda (or cuda:0, ...), mps, cpu.")
    if not there[kind]:
        present = ", ".join(d for d, is_there in there.items() if is_there)
        raise ValueError(f"device={device!r} is not on this machine; it has {present}. device='auto' takes the best.")
    return device


def choose_precision(precision: str, device: str) -> str:
    """Choose the precision: for "auto" float16 on cuda, float32 elsewhere.

    Raises
    ------
    ValueError
        If it is unknown, or float16 is asked for on the CPU, which has no fast float16.
    """
    if precision == "auto":
        return "float16" if device.startswith("cuda") else "float32"
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r}; precision must be one of auto, {', '.join(PRECISIONS)}.")
    if precision == "float16" and device == "cpu":
        raise ValueError("precision='float16' on the CPU is slow or fails; use precision='float32' (or 'auto') there.")
    return precision


def check_engine(engine: str, device: str, precision: str) -> str:
    """Refuse an engine that does not exist, or not for this device and precision.

    Raises
    ------
    ValueError
        If it is unknown, or "openvino" is asked for elsewhere than on the CPU in float32.
    ImportError
        If openvino is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}; engine must be one of {', '.join(ENGINES)}.")
    if engine == "openvino":
        if (device, precision) != ("cpu", "float32"):
            raise ValueError(f"engine='openvino' computes in float32 on the CPU, not in {precision} on {device}.")
        try:
            import openvino  # noqa: F401
        except ImportError as error:
            raise ImportError("engine='openvino' needs the package openvino: pip install openvino.") from error
    return engine


def faster(visual: nn.Module, *, engine: str, precision: str, image_size: int) -> nn.Module:
    """Give an image encoder that computes the same in less time.

    Parameters
    ----------
    visual
        From pixels (N, 3, S, S) to embeddings (N, D); it may be changed.
    engine
        "torch" or "openvino".
    precision
        In float16 nothing is changed.
    image_size
        S.

    Returns
    -------
    nn.Module
        For "torch": ResNets with their batch norms folded into the convolutions, in channels_last; vision
        transformers as a `VisionTower`. For "openvino": as an `OpenVinoEncoder`.
    """
    if engine == "openvino":
        return OpenVinoEncoder(visual, image_size)
    if precision != "float32":
        return visual
    if type(visual).__name__ == "ModifiedResNet":
        return ChannelsLast(fold_batch_norms(visual.eval()))
    return VisionTower(visual)


def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Fold every batch norm of a CLIP ResNet into the convolution before it (conv1, bn1; ...; downsample 0, 1)."""
    for child in module.children():
        fold_batch_norms(child)
    pairs = [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")]
    for conv, norm in pairs:
        if isinstance(module._modules.get(conv), nn.Conv2d) and isinstance(module._modules.get(norm), nn.BatchNorm2d):
            module._modules[conv] = fuse_conv_bn_eval(module._modules[conv], module._modules[norm])
            module._modules[norm] = nn.Identity()
    return module


class ChannelsLast(nn.Module):
    """A convolutional encoder in the memory order in which CPU and GPU convolutions are fastest."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual.to(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels (N, 3, S, S) as (N, D)."""
        return self.visual(pixels.contiguous(memory_format=torch.channels_last))


class OpenVinoEncoder(nn.Module):
    """An image encoder compiled by OpenVINO for the CPU, float32, with as many threads as torch has; within 1e-4.

    May be called from several threads. A copy, or one that is sent to another process, is compiled again there.
    """

    def __init__(self, visual: nn.Module, image_size: int) -> None:
        super().__init__()
        import openvino

        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's remarks on shapes that are constant here
            example = torch.zeros(2, 3, image_size, image_size)
            graph = openvino.convert_model(visual.eval(), example_input=example, input=[-1, 3, image_size, image_size])
        self.compiled = openvino.Core().compile_model(graph, "CPU", _openvino_settings())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels (N, 3, S, S) as (N, D)."""
        request = self.compiled.create_infer_request()  # of this call alone: a shared one mixes the threads' pictures
        return torch.from_numpy(np.array(request.infer(pixels.numpy())[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was compiled as OpenVINO exports it."""
        exported = io.BytesIO()
        self.compiled.export_model(exported)
        return _openvino_again, (exported.getvalue(),)


def _openvino_again(exported: bytes) -> OpenVinoEncoder:
    import openvino

    encoder = OpenVinoEncoder.__new__(OpenVinoEncoder)
    nn.Module.__init__(encoder)
    encoder.compiled = openvino.Core().import_model(io.BytesIO(exported), "CPU", _openvino_settings())
    return encoder


def _openvino_settings() -> dict[str, Any]:
    return {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}


def as_dtype(precision: str) -> torch.dtype:
    """Give torch's type for "float32" or "float16"."""
    return {"float32": torch.float32, "float16": torch.float16}[precision]


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
