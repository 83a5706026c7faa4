"""Numbers that others have published of CLIP, as tables; nothing in them was computed by zsc."""

from pathlib import Path

import pandas as pd

from zsc.checks import check_choice

_INSTALLED = Path(__file__).with_name("reference")  # pyproject.toml puts the tables there
TABLES = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "data" / "reference"


def published(name: str) -> pd.DataFrame:
    """Read a table of published numbers, as it was published.

    `name` is "openai_vitb32_samples", "clip_vitb32_text_cosines", "published_logits", "openclip_zero_shot",
    "clip_probe", "clip_decisions_counts", "clip_decisions_confusion" or "clip_decisions_cue_conflict".
    `data/reference/README.md` says of each where it comes from, its licence, its columns and what it shows.

    Examples
    --------
    >>> table = published("openclip_zero_shot").set_index(["architecture", "tag"])
    >>> float(table.loc[("ViT-B-32-quickgelu", "openai"), "imagenet"])
    0.6332
    """
    names = sorted(path.stem for path in TABLES.glob("*.csv"))
    return pd.read_csv(TABLES / f"{check_choice(name, names, 'name')}.csv", encoding="utf-8")
