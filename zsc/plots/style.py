"""What all figures share: `STYLE`, colours, sizes, titles, intervals, and texts that are never read as formulas.

However much there is, the size of a figure and the number of its texts are bounded here. A figure knows a sentence
about itself, which `save` writes into the file, and a notebook beside the picture as its alternative text.
"""

import textwrap
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory
from seaborn.utils import relative_luminance

from zsc.checks import check_count
from zsc.files import check_path, printable, write_whole
from zsc.statistics import shares

if TYPE_CHECKING:
    from zsc.evaluation import Evaluation

Drawn = TypeVar("Drawn", Axes, Figure)
Result: TypeAlias = "pd.DataFrame | Evaluation"  # a table, or the result that knows its tables, its model and its data
RIGHT, WRONG, NEUTRAL = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's blue and vermilion
WRONG_TEXT = "#B34700"  # vermilion as text needs 4.5 : 1
TEXT_TONES = {WRONG: WRONG_TEXT}  # a colour of shapes -> that of words
# 3 : 1 and more on white, and far apart for those without red or green cones too (measured in tests/test_plots.py)
PALETTE = ("#0072B2", "#D55E00", "#29A687", "#000000", "#802050", "#0000F2", "#594300", "#200080")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", ">")
HALO = [withStroke(linewidth=3, foreground="white")]  # around words that stand on a drawing
DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (6, 2, 1, 2, 1, 2)), (0, (3, 3)), (0, (8, 2)))
WIDTH = 8.0  # inches; at 110 dots per inch as wide as a page of GitHub
MOST = 40  # rows of a list, names beside a map, entries of a legend
MOST_CELLS = 15  # classes of a table with numbers in its cells
ROW, MORE = 0.42, 0.42  # inches of a row with a name of one line; the part of it that a further line takes
PICTURE_SUFFIXES = ("png", "jpg", "jpeg", "pdf", "svg", "webp")
_FURTHER = {"Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans", "Noto Emoji", "Arial Unicode MS"}
FONTS = ["DejaVu Sans", *sorted(_FURTHER & set(fontManager.get_font_names()))]
STYLE: dict[Any, Any] = mpl.rc_params_from_file(Path(__file__).with_name("zsc.mplstyle"), use_default_template=False)
STYLE["font.family"] = FONTS
BAND: dict[str, Any] = {"alpha": 0.15, "linewidth": 0}  # the look of an interval around a line
_LINES, _LONGEST = 120, 12  # lines of names down a figure; lines of one name
LOST = np.full((8, 8, 3), 235, np.uint8)  # in place of a picture that cannot be opened


@contextmanager
def _in_style() -> Iterator[None]:
    """Draw in STYLE; `rc_context` would also undo what a notebook's first figure turns on: that figures are shown."""
    before = {key: mpl.rcParams[key] for key in STYLE}
    mpl.rcParams.update(STYLE)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


styled = _in_style()  # @styled: a function draws in STYLE


def view(result: Result, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Take a table as it is, and of an `Evaluation` the table of that name; refuse one that lacks columns or rows."""
    if name == "table" and not isinstance(result, pd.DataFrame):
        result.check_one_label()
    table: pd.DataFrame = result if isinstance(result, pd.DataFrame) else getattr(result, name)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        lacks = f"the table lacks {', '.join(missing)} (it has {', '.join(map(str, table.columns))})"
        raise ValueError(f"{name}: {lacks}; pass one with the columns {', '.join(columns)}.")
    if columns and table.empty:
        raise ValueError(f"{name}: the table is empty; pass at least one row.")
    return table


def finish(
    drawn: Drawn, title: str | None, what: str, said: str, result: "Result | None" = None, *,
    note: str = "", n: float = 0,
) -> Drawn:  # fmt: skip
    """Set the title (None: what is drawn, of which data, by which model), n behind it; keep what `describe` says."""
    known: Any = result if isinstance(result, pd.DataFrame) else vars(result.made_by) if result else {}
    named = (pd.Series(known.get(key, ""), dtype=object).dropna().unique() for key in ("dataset", "model"))
    dataset, model = (" and ".join(map(str, names)) for names in named)
    if title is None:
        title = what + f", {dataset}" * bool(dataset) + f", classified by {model}" * bool(model)
    n = n or (known["n"].max() if "n" in known else 0)
    title += f", n\xa0=\xa0{n:,.0f}" if n and title and "n =" not in title else ""
    lines = [text for text in (title, *note.split("\n")) if text]
    words = "\n".join(map(_one_line, lines)).replace("$", r"\$")
    written, whole = drawn.suptitle(words) if isinstance(drawn, Figure) else drawn.set_title(words), cast(Any, drawn)
    if isinstance(drawn, Axes) and (spec := drawn.get_subplotspec()) and spec.get_geometry()[:2] == (1, 1):
        whole = drawn.figure  # the title of its only Axes stands over all of it, wherever long names push the Axes to
        written.set_transform(blended_transform_factory(whole.transSubfigure, drawn.transAxes))
    room = 0.97 * whole.get_window_extent().width / max(1, written.get_window_extent().width)
    width = max(24, int(room * max(map(len, words.split("\n")))))
    written.set_text("\n".join(wrap(line, width) for line in lines))
    said = f"{_plain(title)}: {_plain(said)}.".removeprefix(": ")
    about = {"Title": _plain(title), "Description": said, "Model": model, "Dataset": dataset}
    figure: Any = cast(Any, drawn.figure).figure  # of an Axes in a part of a figure the whole
    told = vars(figure).get("_told", {}) | {drawn: {key: text for key, text in about.items() if text}}
    vars(figure)["_told"] = {one: told[one] for one in (figure, *figure.axes) if one in told}
    vars(figure)["_repr_mimebundle_"] = partial(_alternative, figure)  # where IPython asks for metadata
    return drawn


def _alternative(figure: Any, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {}, {"image/png": {"alt": describe(figure)}}


def describe(figure: Figure | Axes) -> str:
    """Say in words what a figure shows, from its data: what stands for it where it cannot be seen."""
    whole = cast(Any, figure.figure).figure
    told = [about["Description"] for about in vars(whole).get("_told", {}).values()]
    return _plain(" ".join(told or [whole.get_suptitle(), *(ax.get_title() for ax in whole.axes)])) or "a figure"


def _plain(text: str) -> str:
    return " ".join(text.replace(r"\$", "$").split())


def wilson(parts: Any, counts: Any) -> np.ndarray:
    """Compute the 95 % interval of each share of a count: low and high, shape (2, N)."""
    right = np.rint(np.multiply(parts, counts)).astype(int)
    return shares(right, np.asarray(counts, dtype=int)).reshape(-1, 3)[:, 1:].T


def text_on(colour: Any) -> str:
    """Choose black or white for what is written on a colour: WCAG's contrast of the better one is never under 4.5."""
    return "white" if (relative_luminance(colour) + 0.05) ** 2 < 1.05 * 0.05 else "black"


def rows_axes(names: Collection[object], width: int, ax: Axes | None) -> tuple[Axes, np.ndarray]:
    """Name the rows of an Axes, the first on top, as high as their names; return it and their middles."""
    labels = wrap_names(names, width)
    ends = np.cumsum([0, *(1 + MORE * label.count("\n") for label in labels)])  # in rows of one line
    places, height = (ends[1:] + ends[:-1] - 1) / 2, max(1.0, float(ends[-1]))
    ax = ax or plt.subplots(figsize=(WIDTH, 1.5 + ROW * height))[1]
    ax.set_yticks(places, labels)
    ax.set_ylim(height - 0.5, -0.5)
    return ax, places


def bars(names: Collection[object], values: Any, words: list[str], width: int, ax: Axes | None, **look: Any) -> Axes:
    """Draw one bar per name, the first on top, with its words at the end."""
    ax, places = rows_axes(names, width, ax)
    ax.bar_label(ax.barh(places, values, **look), words, padding=3)
    ax.margins(x=0.2)
    return ax


def write_beside(ax: Axes, y: float, text: str, **look: Any) -> None:
    """Write to the right of the Axes, at the height of a value."""
    look |= {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    ax.annotate(text, (1.02, y), **look)


def wrap(text: object, width: int = 24, lines: int = _LONGEST) -> str:
    """Break any text into few lines, about equally long; of too many the last ends in "...".

    No word stands alone in the last line of a title, and what no font can draw becomes an escape.
    """
    line = _one_line(text)
    fit = partial(textwrap.wrap, line, break_on_hyphens=False)
    broken = fit(width, max_lines=lines, placeholder=" ...")
    narrowest = min(width, max(4, len(line) // max(1, len(broken)), *map(len, line.split(" "))))
    broken = next((found for found in map(fit, range(narrowest, width)) if len(found) <= len(broken)), broken)
    return ("\n".join(broken) or line).replace("$", r"\$").replace("\xa0", " ")


def wrap_names(names: Collection[object], width: int) -> list[str]:
    """Break the names of a list into lines: the more names, the fewer lines each, so that the figure stays bounded."""
    return [wrap(name, width, min(_LONGEST, max(1, _LINES // len(names)))) for name in names]


def cut(text: object, width: int = 24) -> str:
    """Show a text as one line of at most `width` characters: of a longer one its beginning and its end."""
    line = _one_line(text)
    short = line if len(line) <= width else f"{line[: width // 2 - 1]}…{line[-(width // 2) :]}"
    return short.replace("$", r"\$")


def _one_line(text: object) -> str:
    line = printable(" ".join(str(text).expandtabs(1).splitlines()))
    return "".join(c if ord(c) in _letters() else ascii(c)[1:-1] for c in line)


@cache
def _letters() -> frozenset[int]:
    """Collect what the fonts can draw; Matplotlib warns at each drawing of anything else."""
    return frozenset(c for name in FONTS for c in get_font(findfont(FontProperties(family=[name]))).get_charmap())


def thin(n: int) -> np.ndarray:
    """Choose at most 40 of N places, evenly spaced: which ticks get a name."""
    return np.arange(0, n, max(1, -(-n // MOST)))


def share_axis(ax: Axes, axis: Literal["x", "y"], label: str, *, whole: bool = False) -> None:
    """Let an axis run from 0 to 1; or, where what is drawn fills less than half of that, about as far as it does."""
    low, high = getattr(ax.dataLim, f"interval{axis}")
    low, high, digits = (low, high, 2) if 0 <= high - low < 0.5 and not whole else (0, 1, 1)
    scale = getattr(ax, f"{axis}axis")
    scale.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    scale.set_major_formatter(f"{{x:.{digits}f}}")
    ax.set(**{f"{axis}lim": (max(-0.02, low - 0.02), min(1.02, high + 0.02)), f"{axis}label": label})
    ax.grid(axis=axis)


def save(figure: Figure | Axes, path: str | Path, *, dpi: int = 110) -> Path:
    """Write a figure, or the figure of an Axes, as a picture (the suffix chooses the format), and close it.

    The same figure gives the same bytes. In .png, .pdf and .svg they hold title, model, data, software and what
    `describe` says. For print take `dpi=300`, or .pdf or .svg.
    """
    path = check_picture_path(path)
    dpi = check_count(dpi, "dpi", low=20, high=600)
    whole, kind = cast(Any, figure.figure).figure, path.suffix.removeprefix(".").lower()
    about = next(iter(vars(whole).get("_told", {}).values()), {}) | {"Description": describe(whole)}
    title, told, software = about.get("Title", ""), about["Description"], f"zsc, Matplotlib {mpl.__version__}"
    made = "; ".join(f"{key.lower()} {about[key]}" for key in ("Model", "Dataset") if key in about)
    metadata = {  # each format has names of its own; with its date no two files of one figure would be the same
        "png": about | {"Software": software},
        "svg": {"Title": title, "Description": told, "Keywords": made, "Creator": software, "Date": None},
        "pdf": {"Title": title, "Subject": told, "Keywords": made, "Creator": software, "CreationDate": None},
    }.get(kind)
    try:
        with plt.rc_context({"svg.hashsalt": "zsc"}):
            return write_whole(path, lambda file: whole.savefig(file, format=kind, dpi=dpi, metadata=metadata))
    finally:
        plt.close(whole)


def check_picture_path(path: str | Path) -> Path:
    """Refuse a path that no figure can be written to, before the work that leads to the figure."""
    return check_path(path, [f".{suffix}" for suffix in PICTURE_SUFFIXES], "a picture")
