"""What the reader takes away from the explorer: the prompts as code, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zsc.evaluation import Evaluation
from zsc.explorer.session import Answer
from zsc.files import printable

SUFFIXES = (".yaml", ".yml", ".json")


def as_code(answer: Answer) -> str:
    """Write the Python lines that make the classifier of an answer again.

    Class names, prompts, models and data sets may hold any text: they become literals, or a comment of one line.
    """
    found, clf = answer.evaluation, answer.classifier
    lines = [f"    {_literal(name)}: {_literal(texts)}," for name, texts in answer.prompts.texts.items()]
    cut = any(clf.model.tokenizer.count(text) > clf.model.tokenizer.limit for text in answer.prompts)
    options = f"model={_literal(clf.model.name)}, pooling={_literal(clf.pooling)}" + (", truncate=True" if cut else "")
    judged = (
        [_comment(f"{clf.model.name} on {found.about.get('dataset', 'pictures')}: {in_short(found)}")] if found else []
    )
    code = ["import zsc", "", *judged, "prompts = zsc.ClassPrompts.from_texts({", *lines, "})"]
    return "\n".join([*code, f"clf = zsc.ZeroShotClassifier(prompts, {options})", ""])


def save_prompts(answer: Answer, path: str | Path) -> Path:
    """Write the prompts and their pooling to a new YAML or JSON file that `ClassPrompts.load` reads.

    Raises
    ------
    ValueError
        If the name has another ending, the folder is missing, or the file is there already.
    """
    path = Path(str(path).strip()).expanduser()
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{printable(path.name) or 'no name'}: end the file's name with {', '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise ValueError(f"{printable(path)}: there is no folder {printable(path.parent)}; make it, or choose another.")
    if path.exists():
        raise ValueError(f"{printable(path)}: is there already; choose another name, or remove it first.")
    return answer.prompts.save(path)


def in_short(evaluation: Evaluation) -> str:
    """Say accuracy and interval."""
    low, high = evaluation.interval
    words = f"accuracy {evaluation.accuracy:.3f} ({evaluation.correct} of {evaluation.n})"
    return f"{words}, 95 % interval {low:.3f} to {high:.3f}"


def _literal(value: str | Sequence[str]) -> str:
    """Write a text, or a list of texts, as Python reads it back; texts of other libraries become plain ones."""
    if isinstance(value, str):
        written = repr(str(value))
        return written if '"' in written else f'"{written[1:-1]}"'
    return f"[{', '.join(_literal(text) for text in value)}]"


def _comment(text: str) -> str:
    """Write a text as a comment that no character of it can end."""
    return f"# {printable(text)}"
