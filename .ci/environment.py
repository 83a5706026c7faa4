"""Make the virtual environment that the Makefile's targets run in: one make at a time, and marked when it is complete.

`PYTHON .ci/environment.py VENV [--named] [--extras=A,B] [flags of pip]`; --named says that the user chose this Python,
and the extras are those of `pyproject.toml` that a target needs. A stamp in the environment records where it was made,
from which `pyproject.toml` and `constraints.txt`, and with which extras. Nothing is ever removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
INPUTS = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
EVERYTHING = frozenset({"dev", "notebooks"})
IN_EVERYTHING = frozenset({"models", "onnx", "samples", "data", "widgets", "cluster", "openvino", "labels"})
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


class State(NamedTuple):
    """What is in the environment's folder: `kind` is nothing, foreign, begun or made."""

    kind: str
    place: str = ""
    inputs: str = ""
    extras: frozenset[str] = frozenset()
    version: str = ""


def main(venv: Path, flags: list[str], extras: frozenset[str] = EVERYTHING, *, named: bool) -> str | None:
    """Make the environment unless it is there with these extras; return one sentence if that is impossible."""
    try:
        if not _is_ready(venv, extras, named):
            with _one_at_a_time(venv):
                state = _state(venv)  # another make may have made it meanwhile
                refusal = _refusal(venv, state, named)
                if refusal or _is_ready(venv, extras, named):
                    return refusal
                _build(venv, flags, extras | state.extras, is_made=state.kind == "made")
    except subprocess.CalledProcessError as error:
        return f"{venv} is not finished: {error.cmd[2]} ended with {error.returncode}. make setup goes on from there."
    except OSError as error:
        return f"{error.filename or venv} cannot be used ({error.strerror}); name another place with VENV=FOLDER."
    return None


def _is_ready(venv: Path, extras: frozenset[str], named: bool) -> bool:
    state = _state(venv)
    has_all = extras <= state.extras | (IN_EVERYTHING if state.extras >= EVERYTHING else frozenset())
    return state.kind == "made" and state.inputs == _digest() and has_all and not _refusal(venv, state, named)


def _refusal(venv: Path, state: State, named: bool) -> str | None:
    if state.kind == "foreign":
        return f"{venv} is there, and make has not made it; remove it, or name another place with VENV=FOLDER."
    runs = os.access(venv / "bin/python", os.X_OK)
    if state.place not in ("", str(venv)) or (state.kind == "made" and not runs):
        return (
            f"{venv} was made as {state.place} and does not run here any more, since it or its Python was moved; "
            "make clean removes it, and make setup makes it again."
        )
    if state.version and state.version != VERSION and (named or state.kind != "made"):
        return (
            f"{venv} is of Python {state.version}, and {sys.executable} is {VERSION}; make clean removes it, or "
            f"VENV={venv.name}-{VERSION} makes another one beside it."
        )
    return None


def _build(venv: Path, flags: list[str], extras: frozenset[str], *, is_made: bool) -> None:
    inputs, python, named = _digest(), venv / "bin/python", ",".join(sorted(extras))
    venv.mkdir(parents=True, exist_ok=True)
    _stamp(venv, "")
    size = "7 GB" if extras >= EVERYTHING else "6 GB"
    print(f"Setting up {venv.name} for {named}: once, 2 to 5 minutes, {size}, mostly torch.", flush=True)
    if not is_made:
        _run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", venv)
    constraints = [] if VERSION == "3.10" else ["-c", "constraints.txt"]  # they ask for 3.11; on 3.10 pip chooses
    words = (*flags, "--quiet", "--disable-pip-version-check", *constraints, "-e", f".[{named}]")
    _run(python, "-m", "pip", "install", *words)
    _stamp(venv, f"{inputs} {named}")


def _state(venv: Path) -> State:
    stamp = venv / ".installed"
    if not stamp.is_file():
        return State("foreign" if venv.is_file() or (venv.is_dir() and any(venv.iterdir())) else "nothing")
    text = stamp.read_text(encoding="utf-8")
    if text:
        place, _, inputs = text.partition("\n")
        inputs, _, named = inputs.partition(" ")  # an earlier stamp names no extras: it had all
        extras = frozenset(named.split(",")) if named else EVERYTHING if inputs else frozenset()
        return State("made" if inputs else "begun", place, inputs, extras, _version(venv))
    is_new = all(stamp.stat().st_mtime >= path.stat().st_mtime for path in INPUTS)  # a stamp of an earlier Makefile
    is_here = str(venv) in (venv / "bin/activate").read_text(encoding="utf-8")
    return State(
        "made", str(venv) if is_here else "another folder", _digest() if is_new else "old", EVERYTHING, _version(venv)
    )


def _version(venv: Path) -> str:
    with contextlib.suppress(OSError):
        for line in (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in ("version", "version_info"):
                return ".".join(value.strip().split(".")[:2])
    return ""


def _stamp(venv: Path, inputs: str) -> None:
    new = venv / f".installed-{os.getpid()}"
    new.write_text(f"{venv}\n{inputs}", encoding="utf-8")
    new.replace(venv / ".installed")


def _digest() -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in INPUTS)).hexdigest()


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, close_fds=False, cwd=ROOT)


@contextlib.contextmanager
def _one_at_a_time(venv: Path) -> Iterator[None]:
    """Hold a lock that pip inherits: it lasts until pip has ended, even if this process is killed."""
    with INPUTS[0].open("r+" if os.access(INPUTS[0], os.W_OK) else "r") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another make is setting up {venv.name}; waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    words, extras = sys.argv[2:], EVERYTHING
    for word in [word for word in words if word.startswith("--extras=")]:
        extras = frozenset(word.partition("=")[2].split(","))
    flags = [word for word in words if word != "--named" and not word.startswith("--extras=")]
    sys.exit(main(Path(sys.argv[1]).absolute(), flags, extras, named="--named" in words))
