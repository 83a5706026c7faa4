"""JSON as it is written and read here: every text comes back, no key is read twice, and NaN is no number."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from zsc.checks import short

_HALF = re.compile("[\ud800-\udfff]")  # what stands in a path for a byte that is no UTF-8


def to_json(content: Any, indent: int) -> str:
    """Write plain values as JSON that UTF-8 can hold: bytes of a name that are no UTF-8 become escapes."""
    text = json.dumps(content, ensure_ascii=False, indent=indent, allow_nan=False)
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def from_json(text: str) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        If it is something else, holds a key twice, NaN or infinity, or is nested too deeply; one line without a full
        stop.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{short(key)} is given twice")
        found[key] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")
