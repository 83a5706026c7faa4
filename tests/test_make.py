"""The Makefile's environment, here without packages: made once, by one make at a time; what does not fit it is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {}
PYTHON = getattr(sys, "_base_executable", sys.executable)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix" or not shutil.which("make"), reason="needs make")]

VENV = """
import os, pathlib, subprocess, sys
folder = pathlib.Path(sys.argv[-1])
bare = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], env=bare, check=True)
pip = next(folder.glob("lib/python*/site-packages")) / "pip"
pip.mkdir(exist_ok=True)
(pip / "__main__.py").write_text(pathlib.Path(__file__).with_name("pip.py").read_text())
"""
PIP = """
import sys, time
time.sleep(0.5)
if "freeze" in sys.argv:
    print("numpy==2.1.0\\nmine @ file:///mine")
sys.exit(2 if "--no-such-option" in sys.argv else 0)
"""


@pytest.fixture(scope="session", autouse=True)
def quick_venv(tmp_path_factory):
    """A `venv` that the made environments have their pip from, which installs nothing."""
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "venv").mkdir()
    for name, text in (("__init__.py", ""), ("__main__.py", VENV), ("pip.py", PIP)):
        (folder / "venv" / name).write_text(text)
    ours = ("PYTHON", "VENV", "ROOT", "PIP_FLAGS", "MAKEFLAGS", "MAKELEVEL")
    ENVIRONMENT.update({k: v for k, v in os.environ.items() if k not in ours} | {"PYTHONPATH": str(folder)})


def lay_out(folder):
    for name in ("zsc", "tests", "benchmarks", "reproduction", "notebooks"):
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    (folder / "pyproject.toml").write_text("")
    (folder / "constraints.txt").write_text("numpy==2.0.0\n")
    (folder / "zsc/__main__.py").write_text("import sys; print(sys.argv[1:])")
    return folder


def start(folder, *words):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(["make", "--no-print-directory", "-C", folder, *words], text=True, env=ENVIRONMENT, **pipes)


def make(folder, *words):
    process = start(folder, *words)
    output = process.communicate()[0]
    return process.returncode, output


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout whose environment was made, in a folder whose name is no plain word."""
    folder = lay_out(tmp_path_factory.mktemp("made") / "sp ace é")
    code, output = make(folder, "setup", f"PYTHON={PYTHON}")
    assert code == 0 and "Setting up .venv" in output, output
    return folder


@pytest.fixture
def stamp(project):
    stamp = project / ".venv/.installed"
    kept = stamp.read_text()
    yield stamp
    stamp.write_text(kept)


def test_a_second_call_does_nothing(project):
    os.utime(project / "pyproject.toml")  # as git does; the content is the same
    assert make(project, "setup") == (0, "")
    assert make(project, "setup", f"PYTHON={PYTHON}") == (0, "")


def test_what_is_installed_is_known_by_its_content(project, stamp):
    before = stamp.read_text()
    file = project / "constraints.txt"
    file.write_text("numpy==2.0.1\n")
    code, output = make(project, "setup")
    assert code == 0 and "Setting up" in output and stamp.read_text() != before
    file.write_text("numpy==2.0.0\n")


def test_two_at_once(tmp_path):
    folder = lay_out(tmp_path / "two")
    both = [start(folder, "setup", f"PYTHON={PYTHON}") for _ in range(2)]
    outputs = sorted(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0].startswith("Another make is setting up .venv; waiting") and "Setting up .venv" in outputs[1]
    assert "Setting up" not in outputs[0] and make(folder, "setup") == (0, "")


def test_what_was_begun_is_gone_on_with(tmp_path):
    folder = lay_out(tmp_path / "begun")
    code, output = make(folder, "setup", f"PYTHON={PYTHON}", "PIP_FLAGS=--no-such-option")
    assert code != 0 and "is not finished: pip ended with 2. make setup goes on from there" in output
    code, output = make(folder, "setup", f"PYTHON={PYTHON}")
    assert code == 0 and "Setting up" in output and make(folder, "setup") == (0, "")


def test_another_python_is_told_and_nothing_is_built_over(project):
    config = project / ".venv/pyvenv.cfg"
    kept = config.read_text()
    config.write_text(kept.replace(f"version = {sys.version_info[0]}.{sys.version_info[1]}", "version = 3.9"))
    try:
        code, output = make(project, "setup", f"PYTHON={PYTHON}")
        assert code != 0 and "is of Python 3.9, and" in output and "makes another one beside it" in output
        assert make(project, "setup") == (0, "")  # nobody named a Python: the one that is there runs on
    finally:
        config.write_text(kept)


def test_a_target_asks_for_what_it_needs(tmp_path):
    """The demo installs its own extras, tests add theirs, and where all is there nothing is asked for again."""
    folder = lay_out(tmp_path / "parts")
    stamp = folder / ".venv/.installed"
    code, output = make(folder, "demo", f"PYTHON={PYTHON}")
    assert code == 0 and "for models,samples: " in output and "['demo']" in output
    assert make(folder, "demo") == (0, "['demo']\n") and stamp.read_text().endswith(" models,samples")
    code, output = make(folder, "setup")
    assert code == 0 and "for dev,models,notebooks,samples: " in output
    assert make(folder, "setup") == (0, "") and make(folder, "demo") == (0, "['demo']\n")
    stamp.write_text(stamp.read_text().partition(" ")[0])  # an earlier stamp: everything
    assert make(folder, "demo") == (0, "['demo']\n")
    assert "for dev,docs,models,notebooks,onnx: " in make(folder, "docs")[1]  # which tests and notebooks do without


def test_a_moved_checkout_is_told(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "copy", symlinks=True)
    code, output = make(copy, "setup")
    assert code != 0 and "does not run here any more" in output and "make clean removes it" in output
    assert make(copy, "clean")[0] == 0 and not (copy / ".venv").exists() and (project / ".venv").exists()


def test_the_stamp_of_an_earlier_makefile(project, stamp, tmp_path):
    stamp.write_text("")
    assert make(project, "setup") == (0, "")
    os.utime(stamp, (0, 0))  # older than what it was made from
    code, output = make(project, "setup")
    assert code == 0 and "Setting up" in output and str(project) in stamp.read_text()


def test_spaces_and_quotes(project, tmp_path):
    (tmp_path / "my py").mkdir()
    python = tmp_path / "my py/python3"
    python.symlink_to(PYTHON)
    for name in (f"PYTHON={python}", f"PYTHON='{python}'"):
        assert make(project, "setup", name) == (0, "")
    for word, root in (("dir/my data", "dir/my data"), ("'my data'", "my data"), ("~/d", str(Path.home() / "d"))):
        code, output = make(project, "reproduce", f"ROOT={word}")
        assert code == 0 and output == f"['reproduce', 'all', '--root', {root!r}]\n"


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 9, 18)])
@pytest.mark.parametrize("target", ["setup", "constraints"])
def test_a_python_that_is_too_old(version, target, tmp_path):
    folder, old = lay_out(tmp_path / "old"), tmp_path / "python"
    code = f"import sys; sys.version_info = {version}; exec(sys.argv[-1])"
    old.write_text(f'#!/bin/sh\nexec {PYTHON} -c "{code}" "$@"\n')
    old.chmod(0o755)
    code, output = make(folder, target, f"PYTHON={old}")
    assert code != 0 and "zsc needs Python 3.10 or newer" in output and "Try make PYTHON=python3.12" in output
    assert "Traceback" not in output and not list(folder.glob(".venv*"))


def test_a_python_that_is_not_there(tmp_path):
    code, output = make(lay_out(tmp_path / "none"), "setup", "PYTHON=python9")
    assert code != 0 and "There is no Python called python9" in output


def test_places_that_cannot_be_used(tmp_path):
    folder, mine = lay_out(tmp_path / "places"), tmp_path / "mine"
    mine.mkdir()
    (mine / "pyvenv.cfg").write_text("somebody's")
    code, output = make(folder, "setup", f"PYTHON={PYTHON}", f"VENV={mine}")
    assert code != 0 and "make has not made it; remove it, or name another place with VENV=FOLDER" in output
    assert "stays" in make(folder, "clean", f"VENV={mine}")[1] and (mine / "pyvenv.cfg").exists()
    (tmp_path / "file").write_text("")
    code, output = make(folder, "setup", f"PYTHON={PYTHON}", f"VENV={tmp_path}/file/venv")
    assert code != 0 and "cannot be used (Not a directory); name another place with VENV=FOLDER" in output


def test_constraints_are_replaced_by_a_whole_list_only(tmp_path):
    folder = lay_out(tmp_path / "constraints")
    assert make(folder, "constraints", f"PYTHON={PYTHON}", "PIP_FLAGS=--no-such-option")[0] != 0
    assert (folder / "constraints.txt").read_text() == "numpy==2.0.0\n"
    assert make(folder, "constraints", f"PYTHON={PYTHON}")[0] == 0
    assert (folder / "constraints.txt").read_text() == "numpy==2.1.0\n" and not list(folder.glob(".venv*"))


def test_clean_removes_what_was_built_and_nothing_else(tmp_path):
    folder = lay_out(tmp_path / "clean")
    built = (
        "build/x", "dist/x", ".ruff_cache/x", ".mypy_cache/x", ".hypothesis/x", "tests/.cache/x", "zsc-demo.png",
        "benchmark.json", "benchmark-part.json", "explorer-benchmark.json", "reproduced/x", "toy-again/x",
        ".venv/.installed", "zsc/explorer/runtime/x", "zsc/toy/onnx/x",
        "zsc/__pycache__/x", "notebooks/.ipynb_checkpoints/x", "tests/a/__pycache__/x",
    )  # fmt: skip
    others = (
        "data/afhq/1.jpg", "data/__pycache__/x", "myenv/pyvenv.cfg", "myenv/lib/__pycache__/x", "benchmarks/x.py",
        "notebooks/env/pyvenv.cfg", "notebooks/env/__pycache__/x", "notebooks/a.ipynb", "prompts.yaml",
    )  # fmt: skip
    for name in built + others:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert make(folder, "clean") == (0, "")
    assert [name for name in built if (folder / name).exists()] == []
    assert [name for name in others if not (folder / name).exists()] == []
