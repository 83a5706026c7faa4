"""Pictures of results: figures that draw what they are given.

Right and wrong are told apart by text, by a mark and by colour (Okabe and Ito's, safe for the colour-blind). `ax` says
where to draw; None makes a new figure. `title` stands above; None names what is drawn, and the model and data of an
`Evaluation`, or of a table with the columns model and dataset. An Axes is returned, or a Figure of several.
"""

from zsc.images import THUMBNAIL, thumbnail
from zsc.plots.curves import coverage, few_shot, learning_curve, reliability
from zsc.plots.maps import confused_pairs, confusion, embedding_map, map_widget, similarity
from zsc.plots.pictures import caption, gallery, prediction, sample_grid, why
from zsc.plots.style import NEUTRAL, PALETTE, PICTURE_SUFFIXES, RIGHT, STYLE, WRONG, check_picture_path, describe, save
from zsc.plots.tables import audit, before_after, ranking

__all__ = [
    "NEUTRAL", "PALETTE", "PICTURE_SUFFIXES", "RIGHT", "STYLE", "THUMBNAIL", "WRONG", "audit", "before_after",
    "caption", "check_picture_path", "confused_pairs", "confusion", "coverage", "describe", "embedding_map", "few_shot",
    "gallery", "learning_curve", "map_widget", "prediction", "ranking", "reliability", "sample_grid", "save",
    "similarity", "thumbnail", "why",
]  # fmt: skip
