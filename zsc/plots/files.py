"""Figures as files, and the check of a path before the work that leads to the figure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc.files import printable, write_whole

PICTURE_SUFFIXES = ("png", "jpg", "jpeg", "pdf", "svg", "webp")
_DATES = {"pdf": "CreationDate", "svg": "Date"}  # what makes two files of one figure differ


def save(figure: Figure | Axes, path: str | Path) -> Path:
    """Write a figure, or the figure of an Axes, as a picture (the suffix chooses the format), and close it.

    The file appears whole or not at all, and the same figure gives the same bytes.
    """
    path = check_picture_path(path)
    if isinstance(figure, Axes):
        figure = cast(Figure, figure.figure)
    kind = path.suffix.removeprefix(".").lower()
    options: dict[str, Any] = {"format": kind, "dpi": 110}
    if kind in _DATES:
        options["metadata"] = {_DATES[kind]: None}
    try:
        with plt.rc_context({"svg.hashsalt": "zsc"}):
            return write_whole(path, lambda file: figure.savefig(file, **options))
    finally:
        plt.close(figure)


def check_picture_path(path: str | Path) -> Path:
    """Refuse a path that no figure can be written to, before the work that leads to the figure."""
    path = Path(path)
    if path.is_dir() or path.suffix.removeprefix(".").lower() not in PICTURE_SUFFIXES:
        raise ValueError(f"{printable(path)}: no name for a picture; end it with .{', .'.join(PICTURE_SUFFIXES)}.")
    if not os.access(path.parent, os.W_OK):
        folder = printable(path.parent)
        raise ValueError(f"{printable(path)}: the folder {folder} is missing or cannot be written to; choose another.")
    return path
