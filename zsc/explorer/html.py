"""The explorer's answers as HTML: accuracy, recall bars, confusion, cards of pictures, history.

Every text from outside goes through `zsc.report.escaped`, so that neither markup nor bytes that are no UTF-8 get out.

Right and wrong are told apart in words; colours are those of the figures, and follow JupyterLab's light or dark theme.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from PIL import Image

from zsc.evaluation import Evaluation
from zsc.explorer.session import Answer, Card, ExplorerSession
from zsc.plots.style import MOST_CELLS, RIGHT, WRONG
from zsc.plots.thumbnails import thumbnail
from zsc.report import confused_pairs, escaped

PIXELS = 96
STYLE = f"""<style>
.zsc {{line-height: 1.45; font-size: 13px; color: var(--jp-ui-font-color1, #222);}}
.zsc .big {{font-size: 17px;}} .zsc .faint {{opacity: .75;}} .zsc .warn {{color: {WRONG}; font-weight: 600;}}
.zsc table {{border-collapse: collapse; margin: 4px 0;}}
.zsc td, .zsc th {{padding: 1px 6px; text-align: right; font-weight: normal; white-space: nowrap;}}
.zsc td.name, .zsc th.name {{text-align: left; max-width: 220px; white-space: normal;}}
.zsc th.up {{writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; max-height: 130px;
  padding: 6px 1px;}}
.zsc td.right {{outline: 1.5px solid currentColor; outline-offset: -2px;}}
.zsc .bar {{display: block; height: 11px; background: {RIGHT};}}
.zsc .track {{display: inline-block; width: 150px; background: rgba(127,127,127,.2); height: 11px;}}
.zsc .card {{display: inline-block; width: {PIXELS + 14}px; margin: 0 8px 8px 0; vertical-align: top; font-size: 12px;
  line-height: 1.3; overflow-wrap: anywhere;}}
.zsc .card img, .zsc .card .lost {{display: block; width: {PIXELS}px; height: {PIXELS}px; border: 3px solid {WRONG};}}
.zsc .card.open img, .zsc .card.open .lost {{border-color: #888;}}
</style>"""


def block(inside: str, name: str) -> str:
    """Wrap HTML so that the style finds it, and a test too."""
    return f'<div class="zsc zsc-{name}">{inside}</div>'


def accuracy(answer: Answer) -> str:
    """Say accuracy, interval and macro recall; without labels, how many pictures each class is given to."""
    found, time = answer.evaluation, f' <span class="faint">{answer.milliseconds:.0f} ms</span>'
    if found is None:
        return block(f'<span class="big">{int(answer.counts.sum())} pictures, no labels</span>{time}', "accuracy")
    low, high = found.interval
    return block(
        f'<span class="big">accuracy <b>{found.accuracy:.3f}</b></span> ({found.correct} of {found.n}), 95 % interval '
        f"{low:.3f} to {high:.3f}; macro recall {found.macro_recall:.3f}{time}",
        "accuracy",
    )


def problem(text: str) -> str:
    """Say in place of the accuracy why there is none."""
    return block(f'<span class="warn">{escaped(text)}</span>', "accuracy")


def recalls(answer: Answer) -> str:
    """Draw a bar a class: its recall; without labels, its share of the pictures."""
    found = answer.evaluation
    if found is None:
        share = answer.counts / max(1, answer.counts.sum())
        rows = {name: (share[name], f"{answer.counts[name]}") for name in answer.counts.index}
        return block(f"<b>pictures given to each class</b>{bars(rows)}", "recall")
    report = found.report
    rows = {
        name: (row["recall"], f"{row['recall']:.2f} of {int(row['support'])}")
        for name, row in report.iterrows()
        if row["support"]
    }
    return block(f"<b>recall of each class</b>{bars(rows)}", "recall")


def bars(rows: Mapping[Any, tuple[float, str]]) -> str:
    """Draw shares as bars with words behind them."""
    return "<table>" + "".join(_bar(str(name), share, words) for name, (share, words) in rows.items()) + "</table>"


def confusion(answer: Answer) -> str:
    """Draw the confusion: one row per true class, shaded by its share of the row; right predictions are framed.

    Of more than 30 classes, list the pairs that are confused most.
    """
    if answer.evaluation is None:
        return ""
    if len(answer.evaluation.class_names) > MOST_CELLS:
        return block(_most_confused(answer.evaluation), "confusion")
    table = answer.evaluation.confusion
    totals = table.sum(axis=1)
    head = "".join(f'<th class="up">{escaped(name)}</th>' for name in table.columns)
    rows = []
    for k, (name, row) in enumerate(table.iterrows()):
        cells = "".join(_cell(int(n), n / max(1, totals.iloc[k]), j == k) for j, n in enumerate(row))
        rows.append(f'<tr><th class="name">{escaped(name)}</th>{cells}</tr>')
    title = "<b>confusion</b> <span class='faint'>rows: true; columns: predicted; framed: right</span>"
    return block(f"{title}<table><tr><th></th>{head}</tr>{''.join(rows)}</table>", "confusion")


def cards(answer: Answer, pictures: Sequence[str | None]) -> str:
    """Show the answer's cards with their pictures (data URIs; None where one cannot be opened)."""
    found = answer.evaluation
    if found is None:
        title = "the least sure pictures"
    elif answer.cards:
        title = f"the most confident mistakes ({len(answer.cards)} of {found.n - found.correct})"
    else:
        title = "no mistakes"
    shown = "".join(_card(card, uri) for card, uri in zip(answer.cards, pictures, strict=True))
    return block(f"<b>{title}</b><div>{shown}</div>", "gallery")


def history(table: pd.DataFrame, last: int = 8) -> str:
    """List the last tries, newest first, and warn of choosing among many."""
    if table.empty:
        return block("<b>tried so far</b>: nothing yet", "history")
    rows = "".join(_history_row(number, row) for number, row in table.tail(last).iloc[::-1].iterrows())
    note = "the best of several tries on the same pictures looks better than it is: confirm it on others"
    head = "<tr><th>try</th><th>accuracy</th><th>interval</th><th>pooling</th><th class='name'>what changed</th></tr>"
    return block(
        f"<b>tried so far: {len(table)}</b> <span class='faint'>{note}</span><table>{head}{rows}</table>", "history"
    )


def notes(texts: Sequence[str]) -> str:
    """Show warnings under a box."""
    return block("".join(f'<div class="warn">{escaped(text)}</div>' for text in texts), "notes") if texts else ""


def about(session: ExplorerSession) -> str:
    """Say which pictures and which model answer."""
    kept = session.embeddings
    words = f"{kept.dataset or 'pictures'}: {len(kept)} pictures, classified by {session.model.name}"
    return block(escaped(words), "about")


def label(text: str) -> str:
    """Head a box with its class."""
    return block(f"<b>{escaped(text)}</b>", "label")


def own_hint() -> str:
    """Say what the second tab does."""
    return block("Choose a picture: it is classified with the prompts of the first tab, and goes nowhere else.", "own")


def own_picture(content: bytes, name: str, size: int) -> str:
    """Show the reader's picture with its file's name."""
    return block(f'<img src="{picture_uri(content, size)}" alt=""><br>{escaped(name)}', "own-picture")


def own_bars(proba: Mapping[str, float]) -> str:
    """Draw the classes of one picture, the likeliest on top."""
    ordered = sorted(proba.items(), key=lambda item: -item[1])
    words = "<b>probability, relative to these prompts</b>"
    return block(words + bars({name: (p, f"{p:.2f}") for name, p in ordered}), "own")


def copy_button(code: str) -> str:
    """Give a button that copies a text in the browser itself, where the click is."""
    script = "navigator.clipboard.writeText(this.dataset.code); this.textContent = 'copied'"
    look = 'class="jupyter-button zsc-copy" style="width: 140px"'
    return f'<button {look} data-code="{escape(code)}" onclick="{escape(script)}">copy as code</button>'


def picture_uri(image: Any, size: int = PIXELS) -> str | None:
    """Make a small JPEG of a picture as a data URI; None where it cannot be opened."""
    pixels = thumbnail(image, size)
    if pixels is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _bar(name: str, share: float, words: str) -> str:
    width = f"{100 * float(share):.1f}%"
    track = f'<span class="track"><span class="bar" style="width:{width}"></span></span>'
    return f'<tr><td class="name">{escaped(name)}</td><td>{track}</td><td>{escaped(words)}</td></tr>'


def _most_confused(evaluation: Evaluation, most: int = 20) -> str:
    pairs = confused_pairs(evaluation).head(most)
    rows = "".join(
        f'<tr><td class="name">{escaped(true)} → {escaped(predicted)}</td><td>{count}</td></tr>'
        for true, predicted, count in pairs.itertuples(index=False)
    )
    note = f"{len(evaluation.class_names)} classes: the pairs that are confused most, true → predicted"
    return f'<b>confusion</b> <span class="faint">{note}</span><table>{rows}</table>'


def _cell(count: int, share: float, is_right: bool) -> str:
    shade = f"background: rgba(0,114,178,{0.75 * share:.2f})"
    return f'<td class="{"right" if is_right else ""}" style="{shade}">{count}</td>'


def _card(card: Card, uri: str | None) -> str:
    picture = f'<img src="{uri}" alt="">' if uri else '<span class="lost">cannot be opened</span>'
    if card.true is None:
        return f'<span class="card open">{picture}{escaped(card.predicted)}<br>p = {card.proba:.2f}</span>'
    words = f"wrong: {escaped(card.true)} → {escaped(card.predicted)}<br>p = {card.proba:.2f}"
    return f'<span class="card">{picture}{words}</span>'


def _history_row(number: Any, row: pd.Series) -> str:
    scores = (
        ("-", "-") if pd.isna(row["accuracy"]) else (f"{row['accuracy']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}")
    )
    cells = "".join(f"<td>{escaped(text)}</td>" for text in (number, *scores, row["pooling"]))
    words = row["changed"] if len(row["changed"]) <= 160 else row["changed"][:157] + "..."
    return f'<tr>{cells}<td class="name" style="max-width:460px">{escaped(words)}</td></tr>'
