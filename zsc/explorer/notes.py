"""Warnings about prompts, worded for the line under a box; what to warn of is known by `zsc.prompts.check_prompts`."""

from __future__ import annotations

from typing import Any

from zsc.prompts import ClassPrompts, check_prompts


def notes_on(prompts: ClassPrompts, model: Any) -> dict[str, list[str]]:
    """Collect the warnings of each class that has some."""
    tokenizer = model.tokenizer
    table = check_prompts(prompts, count_tokens=tokenizer.count, limit=tokenizer.limit)
    found: dict[str, list[str]] = {}
    for row in table.itertuples(index=False):
        found.setdefault(str(row.class_name), []).append(f"{row.warning}, “{_short(str(row.prompt))}”: {row.advice}")
    return found


def _short(text: str, limit: int = 50) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
