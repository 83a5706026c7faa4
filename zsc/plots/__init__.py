"""Pictures of results: figures that draw what they are given and compute nothing.

Right and wrong are told apart by text, by a mark and by colour (Okabe and Ito's, safe for the colour-blind); titles
name model and data where the tables do. An Axes comes back, or a Figure where a drawing has several.
"""

from zsc.plots.comparisons import before_after, ranking
from zsc.plots.curves import coverage, few_shot, learning_curve, reliability
from zsc.plots.files import PICTURE_SUFFIXES, check_picture_path, save
from zsc.plots.maps import confusion, embedding_map, similarity
from zsc.plots.pictures import caption, gallery, prediction, sample_grid
from zsc.plots.style import NEUTRAL, PALETTE, RIGHT, WRONG
from zsc.plots.thumbnails import THUMBNAIL, thumbnail

__all__ = [
    "NEUTRAL",
    "PALETTE",
    "PICTURE_SUFFIXES",
    "RIGHT",
    "THUMBNAIL",
    "WRONG",
    "before_after",
    "caption",
    "check_picture_path",
    "confusion",
    "coverage",
    "embedding_map",
    "few_shot",
    "gallery",
    "learning_curve",
    "prediction",
    "ranking",
    "reliability",
    "sample_grid",
    "save",
    "similarity",
    "thumbnail",
]
