"""What is known to go wrong with prompts, as data: negation, length, doubles, other scripts, names that are no words.

Advice, not errors: a prompt with a warning is used like any other.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pandas as pd

from zsc.prompts.prompts import ClassPrompts

if TYPE_CHECKING:
    from zsc.models.base import Encoder

Count = Callable[[str], int]  # of a text's tokens
NEGATIONS = ("no", "not", "without", "never", "none", "nothing", "non", "neither", "nor", "lack", "lacks", "lacking",
             "except")  # fmt: skip  # the English ones; zsc.scoring adds those of other languages
NEGATION = re.compile(rf"\b({'|'.join(NEGATIONS)}|free of)\b|n['’]t\b", re.IGNORECASE)
SCRIPTS = {"English": "LATIN", "Chinese": "CJK"}  # languages of a model -> how Unicode names the letters of one
_LABEL = re.compile(r"[^\W_]+(_[^\W_]+)+|[a-z]+[A-Z][A-Za-z]*|\d+([.-]\S+)?|[A-Za-z]+\d+")
_IMAGENET_ID = re.compile(r"n\d{8}(\D.*)?")


def advice_on(prompts: ClassPrompts, model: "Encoder") -> pd.DataFrame:
    """Look prompts over for what is known to go wrong with a model; the table is that of `check_prompts`."""
    tokens = model.tokenizer
    return check_prompts(prompts, count_tokens=tokens.count, limit=tokens.limit, languages=model.info.languages)


def check_prompts(
    prompts: ClassPrompts, *, count_tokens: Count | None = None, limit: int = 77, languages: str = "English"
) -> pd.DataFrame:
    """Look prompts over for what is known to go wrong.

    The table has one row per warning: class_name, prompt, warning ("negation", "too long", "duplicate", "no English
    script", "no phrase"), advice (one sentence). `count_tokens`, such as `model.tokenizer.count`, counts a text's
    tokens, of which the model reads `limit`; None leaves lengths out. `languages` are as in `EncoderInfo`.
    """
    owners: dict[str, Counter[str]] = {}  # text -> how often each class has it
    pairs = [(class_name, text) for class_name, texts in prompts.texts.items() for text in texts]
    for class_name, text in pairs:
        owners.setdefault(_folded(text), Counter())[class_name] += 1
    rows = []
    for class_name, text in pairs:
        doubles = _double(owners[_folded(text)], class_name)
        found = [*_about_text(text, languages), *_about_label(class_name, text), *doubles]
        if count_tokens is not None and (tokens := count_tokens(text)) > limit:
            advice = f"{tokens} tokens, the model reads {limit}; shorten it, or pass truncate=True to cut it."
            found.append(("too long", advice))
        rows += [(class_name, text, *row) for row in found]
    columns = ["class_name", "prompt", "warning", "advice"]
    return pd.DataFrame(rows, columns=columns, dtype=object).drop_duplicates(ignore_index=True)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _about_text(text: str, languages: str) -> Iterator[tuple[str, str]]:
    if match := NEGATION.search(text):
        yield ("negation", f"{match[0]!r}: CLIP scarcely reads negations (about 39 % on a 4-way test, NegBench, CVPR "
               "2025); say what is there instead, such as 'a bare face', and compare both.")  # fmt: skip
    letters = [c for c in text if c.isalpha()]
    foreign = [c for c in letters if not unicodedata.name(c, "").startswith(SCRIPTS.get(languages, ""))]
    is_mixed = languages == "Chinese" and len(foreign) < len(letters)  # Chinese captions hold names in Latin letters
    if foreign and not is_mixed:
        yield (f"no {languages} script", f"{''.join(foreign)[:10]!r}: this model learned from {languages} captions; "
               f"write it in {languages}, or use a multilingual model.")  # fmt: skip


def _double(owners: Counter[str], class_name: str) -> Iterator[tuple[str, str]]:
    other = next((name for name in owners if name != class_name), None)
    if other is not None:
        yield "duplicate", f"also a prompt of {other!r}: nothing tells the two classes apart by it; reword one."
    elif owners[class_name] > 1:
        yield "duplicate", f"given {owners[class_name]} times for this class: it counts as often; leave one."


def _about_label(class_name: str, text: str) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys((class_name.strip(), text.strip())):
        if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            continue
        if _IMAGENET_ID.fullmatch(name):
            yield ("no phrase", f"{name!r} reads like a label, an ImageNet id, which CLIP does not know; say what it "
                   "stands for in a prompts file (--prompts-file), or in Python: "
                   f"ClassPrompts.from_texts({{{name!r}: 'a ...'}}).")  # fmt: skip
        elif _LABEL.fullmatch(name):
            yield "no phrase", f"{name!r} reads like a label, not like words in a caption; write it as people would."
