"""The towers of a CLIP in less time: the same numbers, for inference only.

The plain towers are the library's own, and the truth: in float32 on the CPU these stay within 1e-5 of them, as the
tests see to for OpenAI's format, and a comparison on loading for other libraries. In float16, and for OpenVINO, the
plain ones are used. `make bench` measures both.
"""

import copy
import functools
import logging
import platform
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zsc.models.base import Tower

EXAMPLES = ("a cat", "a photo of a dog that sleeps", "")  # texts that a faster encoder is tried out on
QUICK_GELU = 1.702  # openai/CLIP, clip/model.py: x * sigmoid(1.702 * x)


def faster(
    model: nn.Module, towers: Callable[[Any], tuple[Tower, Tower]], inputs: tuple[torch.Tensor, Any], name: str
) -> tuple[Tower, Tower]:
    """Return the two encoders of any library's model, faster where that gives the same numbers; `inputs` try them out.

    `towers` takes the two from a model. Where a faster one differs by 1e-5 of the largest number, or fails, the
    library's own is returned, and the log says so.
    """
    own, ours = towers(model), towers(lightened(copy.deepcopy(model)))
    if has_end_token(text := getattr(model, "text", model)):
        ours = ours[0], TextTower(text)
    chosen = []
    with torch.inference_mode():
        for kind, plain, fast, example in zip(("image", "text"), own, ours, inputs, strict=True):
            try:
                expected, found = plain(example), fast(example)
                problem = "" if is_close(found, expected) else f"{float((found - expected).abs().max()):.1g} off"
            except Exception as error:  # a module may ask anything of the one that was replaced
                problem = f"{type(error).__name__}: {error}"
            if problem:
                log = "%s: the faster %s encoder is not the library's own (%s); that is used, at its own speed."
                logging.getLogger("zsc").warning(log, name, kind, problem[:200])
            chosen.append(plain if problem else fast)
    return chosen[0], chosen[1]


def example_pixels(image_size: int) -> torch.Tensor:
    """Draw two pictures of noise, always the same, to try a faster encoder out on."""
    return torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))


def is_close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Tell whether embeddings differ by less than 1e-5 of the largest number; never where one is no number."""
    return bool((found - expected).abs().max() < 1e-5 * expected.abs().max())


def lightened(module: nn.Module) -> nn.Module:
    """Replace linear layers, attention and activations by their like in oneDNN, and fold what can be folded; in place.

    What is found by its type and its place among its neighbours: the activation between two linear layers goes into
    the first, a batch norm into its convolution, timm's branches into one.
    """
    for part in module.modules():
        if hasattr(part, "reparameterize"):  # timm's
            part.reparameterize()
    for layers in [part._modules for part in module.modules()]:
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")):  # of CLIP's ResNets
            if isinstance(layers.get(conv), nn.Conv2d) and isinstance(layers.get(norm), nn.BatchNorm2d):
                layers[conv], layers[norm] = fuse_conv_bn_eval(layers[conv], layers[norm]), nn.Identity()
    module = module.to(memory_format=torch.channels_last)
    return pack(module) if has_onednn() else module


def step_of(encoder: nn.Module) -> int:
    """Choose how many pictures go through an image encoder at once on the CPU: with depthwise convolutions few."""
    is_depthwise = any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in encoder.modules())
    return 4 if is_depthwise else 32  # of more, giving memory back and asking anew costs more than the arithmetic


def pack(module: nn.Module) -> nn.Module:
    """Replace linear layers and the attention of a sequence to itself by faster ones, in place."""
    layers = module._modules
    if {"q_proj", "c_proj"} <= layers.keys():  # the pooling of CLIP's ResNets reads the weights of its layers itself
        return module
    for names in (("c_fc", "gelu", "c_proj"), ("fc1", "act", "fc2"), ("fc1", "activation_fn", "fc2")):
        up, activation, down = (layers.get(name) for name in names)
        if type(up) is nn.Linear is type(down) and activation is not None and (kind := activation_of(activation)):
            # x * sigmoid(a x) is SiLU(a x) / a, and both factors go into the weights: no pass over the values is left
            factor, kind = (QUICK_GELU, "silu") if kind == "quick" else (1.0, kind)
            bias = None if up.bias is None else up.bias * factor
            layers[names[0]], layers[names[1]] = as_linear(up.weight * factor, bias, kind), nn.Identity()
            layers[names[2]] = as_linear(down.weight / factor, down.bias)
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            layers[name] = as_linear(child.weight, child.bias)
        elif type(child) is nn.MultiheadAttention and "ln_1" in layers and "ln_1_kv" not in layers:  # of a block
            layers[name] = SelfAttention(child)
        else:
            pack(child)
    return module


def activation_of(module: nn.Module) -> str:
    """Name an activation by what it computes: "gelu", "gelu_tanh" or "quick" (QuickGELU); "" for any other."""
    x = torch.linspace(-3, 3, 9)
    kinds = {"gelu": F.gelu(x), "gelu_tanh": F.gelu(x, approximate="tanh"), "quick": x * torch.sigmoid(QUICK_GELU * x)}
    try:
        y = module(x)
    except Exception:  # it needs more than x, or has weights of another shape
        return ""
    return next((kind for kind, values in kinds.items() if torch.allclose(y, values, atol=1e-6)), "")


class SelfAttention(nn.Module):
    """torch's MultiheadAttention, of a sequence to itself, else it raises; `is_causal` stands in the mask's place."""

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.heads, self.batch_first, self.is_causal = own.num_heads, own.batch_first, False
        self.to_heads = as_linear(own.in_proj_weight, own.in_proj_bias)
        self.from_heads = as_linear(own.out_proj.weight, own.out_proj.bias)

    def forward(self, query: Any, key: Any, value: Any, need_weights: bool = True, attn_mask: Any = None) -> Any:
        """Go from (N, tokens, width), or (tokens, N, width) as `own` does, to the same shape; no weights are told."""
        if query is not key or query is not value or need_weights:
            raise NotImplementedError("attention to another sequence")
        x = query if self.batch_first else query.transpose(0, 1)
        n, tokens, width = x.shape
        shape = (n, tokens, 3, self.heads, width // self.heads)
        query, key, value = self.to_heads(x).view(shape).permute(2, 0, 3, 1, 4)  # (N, heads, tokens, ...)
        mask = None if self.is_causal else attn_mask
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=self.is_causal)
        x = self.from_heads(mixed.transpose(1, 2).reshape(n, tokens, width))
        return x if self.batch_first else x.transpose(0, 1), None


def has_end_token(text: Any) -> bool:
    """Tell whether a text encoder is open_clip's and as OpenAI's: a token sees those before it, the end is read."""
    blocks = getattr(getattr(text, "transformer", None), "resblocks", ())
    return (
        getattr(text, "attn_mask", None) is not None
        and getattr(text, "cls_emb", None) is None
        and getattr(text, "text_pool_type", getattr(text, "pool_type", "")) == "argmax"
        and isinstance(text.text_projection, nn.Parameter)
        and all(isinstance(block.attn, nn.MultiheadAttention) for block in blocks)
    )


class TextTower(nn.Module):
    """CLIP's text encoder to the end of a batch's longest text, as no token sees those after it (10 cost 1/8 of 77)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tokens, self.positions = model.token_embedding, model.positional_embedding
        self.norm_out, self.projection = model.ln_final, model.text_projection
        blocks: list[Any] = [pack(copy.deepcopy(block)) for block in model.transformer.resblocks]
        for block in blocks:
            block.attn.batch_first = block.attn.is_causal = True
        self.blocks = nn.Sequential(*blocks)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embed token ids (M, 77) as (M, D)."""
        ends = tokens.argmax(dim=1)  # the end token has the highest id
        length = int(ends.max()) + 1 if len(ends) else 1
        x = self.blocks(self.tokens(tokens[:, :length]) + self.positions[:length])  # (M, length, width)
        return self.norm_out(x[torch.arange(len(x), device=x.device), ends]) @ self.projection


ACTIVATIONS: dict[str, tuple[str, str, Callable[[torch.Tensor], torch.Tensor]]] = {  # oneDNN's words, and torch's own
    "none": ("none", "", lambda x: x),
    "silu": ("swish", "", F.silu),
    "gelu": ("gelu", "none", F.gelu),
    "gelu_tanh": ("gelu", "tanh", functools.partial(F.gelu, approximate="tanh")),
}


def as_linear(weight: torch.Tensor, bias: torch.Tensor | None, activation: str = "none") -> nn.Module:
    """Return x -> x W^T + b, with an activation after it where asked; through oneDNN on CPUs where torch has it."""
    is_packed = has_onednn() and weight.device.type == "cpu" and weight.dtype == torch.float32
    return FastLinear(weight.detach(), None if bias is None else bias.detach(), activation, is_packed)


class FastLinear(nn.Linear):
    """x W^T + b, for inference: through oneDNN with W put into its blocks once, on AMD's CPUs twice as fast as MKL.

    Or by torch's own product, the truth that oneDNN's must equal. It has no parameters, and no gradient.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, activation: str, is_packed: bool) -> None:
        nn.Module.__init__(self)  # a linear layer to those who ask
        self.out_features, self.in_features = weight.shape
        self.bias, self.activation, self.is_packed = bias, activation, is_packed
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous()) if is_packed else weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Go from (..., width in) to (..., width out)."""
        kind, algorithm, own = ACTIVATIONS[self.activation]
        if self.is_packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, kind, [], algorithm)
        return own(F.linear(x, self.weight, self.bias))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle W as it was: torch can do neither with oneDNN's blocks, and another machine may have none."""
        return as_linear, (self.weight.to_dense() if self.is_packed else self.weight, self.bias, self.activation)


@functools.cache
def has_onednn() -> bool:
    """Tell whether torch multiplies through oneDNN here, and rightly; tried once, as torch promises nothing of it."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():
        return False
    weight, bias, x = 2 * torch.eye(16), torch.ones(16), torch.ones(2, 3, 16)
    try:
        with torch.inference_mode():
            ours = FastLinear(weight, bias, "silu", is_packed=True)(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(ours, F.silu(F.linear(x, weight, bias)), atol=1e-5)
