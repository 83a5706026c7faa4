"""Run the notebooks and save their outputs: `python notebooks/run.py [NAME ...]`.

Each runs top to bottom in a fresh kernel. If a cell fails, such as a `checks` cell with a claim that does not hold, the
exit code is 1; it is 1 too if the text says a number that its `checks` cell does not assert. `--check` runs them
without writing anything; `-p NAME=VALUE` sets a parameter. `--lessons FOLDER` runs nothing: it writes students' copies,
without answers and outputs, and the teacher's key.
"""

from __future__ import annotations

import argparse
import ast
import base64
import io
import re
import sys
import time
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from reproduction.run import assigned_names
from zsc.files import write_whole

HERE = Path(__file__).parent
TIMEOUT = 1800
QUIET = ["--log-level=ERROR"]  # kernels warn that they listen on TCP without encryption; it is loopback
MAX_PNG = 150_000  # characters
FOLDED = re.compile(r"<details>\s*<summary>(.*?)</summary>\s*(.*?)\s*</details>", re.DOTALL)
ASKED = re.compile(r"\*\*(?:Question|Your prediction)|^#+ Exercises", re.MULTILINE)
BLANK = "*Your answer:*"
NUMBER = re.compile(
    r"(?<![\w.,/])(?:\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?|\.\d+)(?![\w/]|\.\d|-[A-Za-z])(?:\s?%|\spoints?)?"
)
NO_RESULT = re.compile(
    "|".join(
        (
            r"`[^`]*`|\]\([^)]*\)",  # code and links
            r"^# \d\d |\b[Nn]otebooks? \d\d(?: and \d\d)?|(?<![.\d])0\d\b",  # notebooks
            r"\*\*(?:Question|Step) \d+|^\d+\. ",  # questions, steps and exercises
            r"\b(?:19|20)\d\d\b|arXiv[: ][\d.]+|(?:section|Figure|Table)s? [\d.]+(?: and [\d.]+)?",  # references
            r"\b[A-Z][A-Za-z]*[-/][A-Z]?/?\d+(?![\w.]*\s%)",  # models and data sets: ViT-B/32, CIFAR-10
            r"\b95 % interval",
        )
    ),
    re.MULTILINE,
)


def execute(path: Path, parameters: dict[str, object] | None = None) -> nbformat.NotebookNode:
    """Run one notebook in its own folder and return it with its outputs, without traces of this machine."""
    notebook = nbformat.read(path, as_version=4)
    if parameters:
        set_parameters(notebook, parameters)
    options = {"kernel_name": "python3", "resources": {"metadata": {"path": HERE}}, "extra_arguments": QUIET}
    NotebookClient(notebook, timeout=TIMEOUT, **options).execute()
    return tidy(notebook)


def set_parameters(notebook: nbformat.NotebookNode, parameters: dict[str, object]) -> None:
    """Add assignments to the cell that is tagged `parameters`."""
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    unknown = [name for name in parameters if name not in assigned_names(cell.source)]
    if unknown:
        raise ValueError(f"the notebook has no parameter {', '.join(unknown)}; it has:\n{cell.source}")
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())


def said_numbers(text: str) -> list[re.Match[str]]:
    """Find the numbers in a text that are results, quotations or sizes: not years, names and numbers of notebooks."""
    return list(NUMBER.finditer(NO_RESULT.sub(lambda found: "_" * len(found[0]), text)))


def mark(notebook: nbformat.NotebookNode) -> str:
    """Sum up the numbers of the text in their order, so that none can be altered unnoticed."""
    text = "\n".join(cell.source for cell in notebook.cells[:-1] if cell.cell_type == "markdown")
    numbers = [found[0] for found in said_numbers(text)]
    return f"{len(numbers)} numbers in the text, {zlib.crc32(' '.join(numbers).encode()):08x}"


def unasserted(notebook: nbformat.NotebookNode) -> list[str]:
    """Say which numbers of the text its `checks` cell does not assert, and whether any was altered.

    An assertion says a number if it stands there, rounded as in the text; that it is true, running the cell shows.
    Numbers of others, which no cell computes, are listed in its comments. A percentage or a number of points may be
    asserted as a share. The cell also holds the `mark` of the numbers that its assertions were written for: without it
    a number could be altered to another one that is asserted.
    """
    *lesson, checks = notebook.cells
    comments = [
        line for line in checks.source.splitlines() if line.startswith("#") and "numbers in the text" not in line
    ]
    known = {_decimal(found[0]) for found in said_numbers("\n".join(comments))}
    for statement in ast.walk(ast.parse(checks.source)):
        if isinstance(statement, ast.Assert):
            known |= set(_asserted(statement.test))
    wrong = []
    for number, cell in enumerate(lesson):
        for found in said_numbers(cell.source) if cell.cell_type == "markdown" else ():
            value = _decimal(found[0])
            share = value / 100 if re.search(r"%|points?$", found[0]) else value
            if not known & {value, share}:
                wrong.append(f"cell {number}: {found[0]} is not asserted")
    if mark(notebook) not in checks.source:
        wrong.append(f"the checks were written for other numbers; read them again, then put '# {mark(notebook)}' there")
    return wrong


def _asserted(node: ast.AST) -> Iterator[Decimal]:
    """Yield the numbers of an expression, without positions (`x[3]`) and numbers of digits (`round(x, 3)`)."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield abs(Decimal(str(node.value)))
    elif isinstance(node, ast.Constant):
        yield from (_decimal(found[0]) for found in said_numbers(str(node.value)))
    rounding = isinstance(node, ast.Call) and "round" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))
    for name, part in ast.iter_fields(node):
        if name != "slice" and not (rounding and name == "args"):
            for child in part if isinstance(part, list) else [part]:
                if isinstance(child, ast.AST):
                    yield from _asserted(child)


def _decimal(text: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.]", "", text))


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove times, widget states and progress bars, which differ from run to run."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = [o for o in cell.outputs if o.get("name") != "stderr" and not is_dead_widget(o)]
            cell.outputs = join_streams(kept)
            for output in cell.outputs:
                shrink(output.get("data", {}))
    return notebook


def join_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join consecutive stream outputs: where a kernel splits them depends on timing."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def is_dead_widget(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a widget that shows nothing without its kernel, such as a progress bar."""
    data = output.get("data", {})
    return "application/vnd.jupyter.widget-view+json" in data and "text/html" not in data


def shrink(data: dict[str, str]) -> None:
    """Keep one image per output, and large ones as JPEG: photographs are ten times smaller that way."""
    if "text/html" in data:
        data.pop("application/vnd.jupyter.widget-view+json", None)  # a dead widget; the HTML says the same
    png = data.get("image/png", "")
    if "image/jpeg" in data:
        data.pop("image/png", None)
    elif len(png) > MAX_PNG:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").save(buffer, format="JPEG", quality=88)
        data["image/jpeg"] = base64.b64encode(buffer.getvalue()).decode()
        del data["image/png"]


def students_copy(notebook: nbformat.NotebookNode) -> list[str]:
    """Take folded answers, outputs and checks out of a notebook; return its key, one text per answer.

    What the text says after a cell about its result stays: without it the lesson would have gaps.
    """
    key = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            continue
        start = 0
        for folded in FOLDED.finditer(cell.source):
            before = cell.source[start : folded.start()].strip()
            question = before[max([0, *(found.start() for found in ASKED.finditer(before))]) :]
            key.append(f"{question}\n\n**{folded[1]}**\n\n{folded[2]}\n")
            start = folded.end()
        cell.source = FOLDED.sub(BLANK, cell.source)
        if "<details" in cell.source or "</details" in cell.source:
            raise ValueError(f"an answer is not closed, or opened twice; mend this cell:\n{cell.source}")
    if notebook.cells and "checks" in notebook.cells[-1].metadata.get("tags", []):
        while notebook.cells and notebook.cells.pop().cell_type == "code":  # the checks name the answers
            pass  # up to the text that announces them
    return key


def write_lessons(paths: list[Path], folder: Path) -> int:
    """Write students' copies and `key.md` into a new or empty folder; return the number of answers in the key."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and may hold somebody's work; name another folder, or empty it.")
    copies, key = {}, ["# The teacher's key\n"]
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        key += [f"## {path.stem}\n", *(answers := students_copy(notebook))]
        copies[path.name] = notebook
        print(f"{path.name}: {len(answers)} answers")
    folder.mkdir(parents=True, exist_ok=True)
    for name, notebook in copies.items():
        write_whole(folder / name, nbformat.writes(notebook) + "\n")
    write_whole(folder / "key.md", "\n".join(key))
    return len(key) - 1 - len(copies)


def main() -> int:
    """Run the named notebooks, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="the beginning of a notebook's name; default: all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--lessons", type=Path, metavar="FOLDER", help="write students' copies and the key; run nothing"
    )
    arguments = parser.parse_args()
    pairs = (p.partition("=") for p in arguments.parameter)
    parameters = {name: _literal(value) for name, _, value in pairs}
    chosen = [
        p for p in sorted(HERE.glob("*.ipynb")) if not arguments.names or p.name.startswith(tuple(arguments.names))
    ]
    if not chosen:
        print(f"no notebook begins with {' or '.join(arguments.names)}", file=sys.stderr)
        return 2
    if arguments.lessons:
        try:
            print(f"{write_lessons(chosen, arguments.lessons)} answers in {arguments.lessons / 'key.md'}")
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 2
        return 0
    failed = 0
    for path in chosen:
        start = time.perf_counter()
        if wrong := unasserted(nbformat.read(path, as_version=4)):
            failed += 1
            print(f"{path.name}: failed, and was not run\n{'; '.join(wrong)}", file=sys.stderr)
            continue
        try:
            notebook = execute(path, parameters)
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: failed\n{error}", file=sys.stderr)
            continue
        if not arguments.check:
            write_whole(path, nbformat.writes(notebook) + "\n")
        print(f"{path.name}: {time.perf_counter() - start:.0f} s")
    return 1 if failed else 0


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main())
