"""Where and how a model computes: device, precision, engine; and the same numbers in less time.

The torch engine stays within 1e-5 of the library's own numbers, OpenVINO within 1e-4; `make bench` measures both.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zsc.models.towers import VisionTower

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
