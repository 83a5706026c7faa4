"""Where and how a model computes: device, precision, engine."""

from __future__ import annotations

import torch

PRECISIONS = ("float32", "float16")
ENGINES = ("torch",)


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
        raise ValueError(f"device={device!r}; accepted are auto, cuda (or cuda:0, ...), mps and cpu.")
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
        raise ValueError(f"precision={precision!r}; accepted are auto, {', '.join(PRECISIONS)}.")
    if precision == "float16" and device == "cpu":
        raise ValueError("precision='float16' on the CPU is slow or fails; use precision='float32' (or 'auto') there.")
    return precision


def check_engine(engine: str) -> str:
    """Refuse an engine that is not built."""
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}; accepted is {', '.join(ENGINES)}.")
    return engine


def as_dtype(precision: str) -> torch.dtype:
    """Give torch's type for "float32" or "float16"."""
    return {"float32": torch.float32, "float16": torch.float16}[precision]
