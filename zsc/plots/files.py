"""Figures as files, and the check of a path before the work that leads to the figure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PICTURE_SUFFIXES = ("png", "jpg", "jpeg", "pdf", "svg", "webp")


def save(figure: Figure | Axes, path: str | Path) -> Path:
    """Write a figure, or the figure of an Axes, as a picture (the suffix chooses the format), and close it."""
    path = check_picture_path(path)
    if isinstance(figure, Axes):
        figure = cast(Figure, figure.figure)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def check_picture_path(path: str | Path) -> Path:
    """Refuse a path that no figure can be written to, before the work that leads to the figure."""
    path = Path(path)
    if path.is_dir() or path.suffix.removeprefix(".").lower() not in PICTURE_SUFFIXES:
        raise ValueError(f"{path}: no name for a picture; end it with .{', .'.join(PICTURE_SUFFIXES)}.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{path}: the folder {path.parent} is missing or cannot be written to; choose another.")
    return path
