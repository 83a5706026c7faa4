"""What made a result, beside the numbers: package versions and the machine; no names of people, hosts or paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zsc import __version__

PACKAGES = (
    "numpy",
    "pillow",
    "torch",
    "torchvision",
    "clip",
    "clip-anytorch",
    "open_clip_torch",
    "transformers",
    "openvino",
)


def environment() -> dict[str, Any]:
    """Give the versions of what a result depends on, and the machine: {"versions": ..., "hardware": ...}."""
    versions = {"zsc": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    hardware = {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }
    return {"versions": versions, "hardware": hardware}


def _processor() -> str:
    """Name the processor, as Linux tells it; else what Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
