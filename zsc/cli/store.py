"""`zsc store`: look after kept embeddings."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome
from zsc.files import printable
from zsc.parts import DTYPES
from zsc.store import EmbeddingStore, clear, stores

ACTIONS = {"info": "list what is stored", "verify": "check every file", "clear": "delete it",
           "compact": "put small files together, which opens and reads faster"}  # fmt: skip
OPTIONS = (
    option("action", choices=tuple(ACTIONS), help="; ".join(f"{name}: {text}" for name, text in ACTIONS.items())),
    option("--store", type=Path, default=_options.STORE, metavar="FOLDER", help="the folder that keeps embeddings"),
    option("--fingerprint", help="only this model's"),
    option("--float16", action="store_true", help="compact: keep vectors in half the room; cosines move by up to .001"),
    option("--yes", action="store_true", help="clear: do not ask"),
)


def run(arguments: Namespace) -> Outcome:
    """Look after kept embeddings: info, verify, compact or clear."""
    found = {folder: about for folder, about in stores(arguments.store)
             if arguments.fingerprint in (None, folder.name)}  # fmt: skip
    if not found:
        which = f" of {arguments.fingerprint}" if arguments.fingerprint else ""
        raise ValueError(f"{arguments.store}: no kept embeddings{which}; 'zsc embed' makes some.")
    if arguments.action == "clear":
        return _clear(arguments, [str(about["name"]) for about in found.values()])
    if arguments.float16 and arguments.action != "compact":
        raise ValueError(f"--float16 says how to compact; it does not go with {arguments.action}.")
    rows = [_state(folder, about, arguments) for folder, about in found.items()]
    text = []
    for row in rows:
        size = f"{row['pictures']} pictures, {row['texts']} texts, {row['bytes'] / 1e6:.1f} MB in {row['files']} files"
        text.append(f"{row['fingerprint']}  {row['model']}: {size}, {' and '.join(row['dtypes'])}")
        text += [f"  problem: {problem}" for problem in row.get("problems", [])]
    is_sound = not any(row.get("problems") for row in rows)
    if arguments.action == "verify":
        text.append("sound" if is_sound else "damaged parts are set aside when they are next needed")
    return Outcome(rows, text, 0 if is_sound else 1)


def _state(folder: Path, about: dict[str, Any], arguments: Namespace) -> dict[str, Any]:
    kept = EmbeddingStore(folder.parent, folder.name, int(about["embed_dim"]))
    if arguments.action == "compact":
        kept.compact(DTYPES[arguments.float16], progress=arguments.progress)
    size = sum(file.stat().st_size for file in folder.iterdir())
    counts = {"embeddings": len(kept), "pictures": len(kept) - kept.texts, "texts": kept.texts}
    state = {"fingerprint": folder.name, "model": about["name"], **counts, "bytes": size}
    state |= {"files": len([*kept.parts]), "dtypes": sorted({*map(kept.parts.dtype, kept.parts)} - {""})}
    if arguments.action == "verify":
        checks = kept.verify(progress=arguments.progress)
        state["problems"] = [f"{check.path.name}: {check.problem}" for check in checks if check.problem]
        state["problems"] += [f"{aside.name}: set aside" for aside in sorted(folder.glob("*.damaged"))]
    return state


def _clear(arguments: Namespace, models: list[str]) -> Outcome:
    is_agreed = arguments.yes
    if not is_agreed and sys.stdin.isatty() and sys.stderr.isatty():  # without a person the answer is no
        question = f"Remove the kept embeddings of {', '.join(models)} from {arguments.store}?"
        print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        is_agreed = sys.stdin.readline().strip().lower() in ("y", "yes")
    if not is_agreed:
        raise ValueError(f"nothing was removed from {arguments.store}; answer y on a terminal, or add --yes.")
    done = clear(arguments.store, arguments.fingerprint)
    left = [{"path": path, "reason": reason} for path, reason in done.left]
    text = [f"removed {folder}" for folder in done.removed] + [f"left {path}: {reason}" for path, reason in done.left]
    return Outcome({"removed": done.removed, "left": left}, text, 0 if done.removed else 1)
