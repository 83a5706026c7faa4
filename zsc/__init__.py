"""Zero-shot image classification with CLIP: name your classes in words, classify pictures without training.

The names below are the public face; each is imported when it is first used, so that `import zsc` is fast and
loads no torch. See README.md for a tour and `zsc/` for one module a step.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "ImageDataset": "zsc.datasets",
    "load_dataset": "zsc.datasets",
    "ImageError": "zsc.images",
    "open_image": "zsc.images",
    "ClassPrompts": "zsc.prompts",
    "Encoder": "zsc.models",
    "available_models": "zsc.models",
    "load_model": "zsc.models",
    "ImageEmbeddings": "zsc.embeddings",
    "embed_images": "zsc.embeddings",
    "ZeroShotClassifier": "zsc.classifier",
    "Evaluation": "zsc.evaluation",
    "compare_prompts": "zsc.selection",
    "choose_prompts": "zsc.selection",
    "suspect_labels": "zsc.labels",
    "search": "zsc.retrieval",
    "PromptExplorer": "zsc.explorer",
}
_MODULES = (
    "calibration", "classifier", "datasets", "embeddings", "evaluation", "explorer", "images", "labels", "models",
    "plots", "probes", "prompts", "report", "scoring", "selection",
)  # fmt: skip

__all__ = [
    "ClassPrompts",
    "Encoder",
    "Evaluation",
    "ImageDataset",
    "ImageEmbeddings",
    "ImageError",
    "PromptExplorer",
    "ZeroShotClassifier",
    "__version__",
    "available_models",
    "calibration",
    "choose_prompts",
    "classifier",
    "compare_prompts",
    "datasets",
    "embed_images",
    "embeddings",
    "evaluation",
    "explorer",
    "images",
    "labels",
    "load_dataset",
    "load_model",
    "models",
    "open_image",
    "plots",
    "probes",
    "prompts",
    "report",
    "scoring",
    "search",
    "selection",
    "suspect_labels",
]

if TYPE_CHECKING:
    from zsc import (
        calibration,
        classifier,
        datasets,
        embeddings,
        evaluation,
        explorer,
        images,
        labels,
        models,
        plots,
        probes,
        prompts,
        report,
        scoring,
        selection,
    )
    from zsc.classifier import ZeroShotClassifier
    from zsc.datasets import ImageDataset, load_dataset
    from zsc.embeddings import ImageEmbeddings, embed_images
    from zsc.evaluation import Evaluation
    from zsc.explorer import PromptExplorer
    from zsc.images import ImageError, open_image
    from zsc.labels import suspect_labels
    from zsc.models import Encoder, available_models, load_model
    from zsc.prompts import ClassPrompts
    from zsc.retrieval import search
    from zsc.selection import choose_prompts, compare_prompts


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"zsc.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'zsc' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
