"""Class names, wherever they come from: folders, tables, Hugging Face. How they are read, sorted and told apart."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from zsc.files import printable
from zsc.images import as_utf8

_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u180e\u200b\u2060\ufeff]"
)  # and white space of no width
_MARKS = "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # join or turn: not at an end
_NUMBER = re.compile(r"(?<![.\d])(\d+)\.(\d+)(?!\.?\d)|(\d+)")
_WHOLE = re.compile(r"[-+\u2212]?\d+(\.\d+)?")


def fold(name: Any) -> str:
    r"""Read a name as people do: without white space around it, without what cannot be seen, composed (NFC).

    Examples
    --------
    >>> fold("\ufeffgas\u00a0pump ")
    'gas pump'
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", as_utf8(str(name))))
    return " ".join(" ".join(text.split()).strip(_MARKS).split())


def name_order(name: str) -> tuple[bool, float, str, str]:
    """Sort names: whole numbers by their value, then the others as `natural_key` does.

    Examples
    --------
    >>> sorted(["class 10", "10", "class 2", "9", "0.5", "0.25"], key=name_order)
    ['0.25', '0.5', '9', '10', 'class 2', 'class 10']
    """
    is_number = _WHOLE.fullmatch(name) is not None
    return not is_number, float(name.replace("\u2212", "-")) if is_number else 0.0, natural_key(name), name


def natural_key(text: str) -> str:
    """Give what sorts a text with its numbers by their value; texts whose numbers are equally long sort as they did."""
    return _NUMBER.sub(lambda m: _sortable(m[3]) if m[3] else f"{_sortable(m[1])}.{m[2]}", text)


def _sortable(digits: str) -> str:
    """Write a whole number so that texts compare as numbers do: its length before it; after a 0, as digits sort."""
    plain = digits if digits.isascii() else "".join(str(unicodedata.decimal(d)) for d in digits)
    value = plain.lstrip("0")
    return f"0{chr(0x100 + len(value))}{value}"


def look_alikes(names: Iterable[str]) -> str:
    """Tell in one sentence which names differ only in case, or in what can hardly be seen; empty where none do."""
    groups = defaultdict(list)
    for name in names:
        key = unicodedata.normalize("NFKC", name).casefold()
        groups["".join(c for c in key if unicodedata.category(c) != "Cf")].append(name)
    found = [" and ".join(map(repr, map(printable, group))) for group in groups.values() if len(group) > 1]
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"{', '.join(found[:3])}{more} differ only in case or in what can hardly be seen; each counts as a class"
