"""`zsc doctor` finds what is planted, names the remedy, and says nothing of who asks."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import matplotlib.font_manager  # noqa: F401  (its cache is that of the real home)
import pytest

from zsc import cli


def doctor(capsys, *words):
    code = cli.main(["doctor", "--json", *map(str, words)])
    return code, json.loads(capsys.readouterr().out)


def states(found, part):
    return {row["what"]: row["state"] for row in found[part]}


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("ZSC_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HOME", str(tmp_path / "home/ada"))
    Path.home().mkdir(parents=True)


def test_what_is_sound_is_told_without_a_problem(capsys, tmp_path):
    code, found = doctor(capsys, "--root", tmp_path)
    assert code == 0 and found["problems"] == []
    assert f"torch {metadata.version('torch')}" in states(found, "Packages")["models"]
    assert states(found, "Engine")["precision"].startswith("float32")
    assert "zsc download afhq" in states(found, "Data sets")["afhq"]
    assert states(found, "Models")["toy"] == "installed"


def test_toy_needs_no_torch_where_its_graphs_are(capsys, monkeypatch, tmp_path):
    from importlib.util import find_spec

    from zsc.cli import doctor as command

    monkeypatch.setattr(
        command, "find_spec", lambda name: None if name in ("torch", "onnxruntime") else find_spec(name)
    )
    for graphs, needed in ((tmp_path, "onnxruntime"), (tmp_path / "none", "torch")):
        monkeypatch.setattr(command, "TOY_GRAPHS", graphs)
        assert states(doctor(capsys, "--root", tmp_path)[1], "Models")["toy"] == f"needs {needed}"


def test_weights_of_somebody_else(capsys, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/ViT-B-32.pt").write_bytes(b"cut short")
    code, found = doctor(capsys, "--root", tmp_path)
    assert code == 1 and len(found["problems"]) == 1
    assert found["problems"][0].startswith("ViT-B/32: ") and "is not OpenAI's file; remove it" in found["problems"][0]


def test_a_data_set_that_is_not_whole(capsys, tmp_path):
    (tmp_path / "afhq/val/cat").mkdir(parents=True)
    code, found = doctor(capsys, "--root", tmp_path)
    assert (code == 1) == ("not whole" in states(found, "Data sets")["afhq"])
    assert "pictures" in states(found, "Data sets")["afhq"] or "not " in states(found, "Data sets")["afhq"]


def test_packages_that_are_missing_or_too_old(capsys, monkeypatch, tmp_path):
    version = metadata.version

    def other(name):
        if name == "ray":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "pillow" else version(name)

    monkeypatch.setattr(metadata, "version", other)
    code, found = doctor(capsys, "--root", tmp_path)
    assert states(found, "Packages")["cluster"] == "not here: ray (pip install 'zsc-clip[cluster]')"
    assert code == 1 and len(found["problems"]) == 1
    assert (
        found["problems"][0].startswith("pillow: 0.1; zsc needs >=") and "pip install 'pillow>=" in found["problems"][0]
    )


def test_a_full_disk_and_half_of_the_widgets(capsys, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    code, found = doctor(capsys, "--root", tmp_path)
    disks = [line for line in found["problems"] if line.startswith("disk of ")]
    assert code == 1 and len(disks) == 2 and "0.1 GB free; make room" in disks[0]
    half = tmp_path / "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json"
    half.parent.mkdir(parents=True)
    half.write_text('{"version": "5.4.3"}')
    assert "JupyterLab's half 5.4.3" in states(doctor(capsys, "--root", tmp_path)[1], "Notebooks")["widgets"]


def test_nothing_of_the_user_is_in_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    monkeypatch.setenv("ZSC_CLIP_URL", "https://ada:secret@example.org")
    (Path.home() / "weights").mkdir()
    (Path.home() / "weights/RN50.pt").write_bytes(b"no weights")
    monkeypatch.setenv("ZSC_WEIGHTS", str(Path.home() / "weights"))
    data = tmp_path / "srv/ada/pictures"
    code, found = doctor(capsys, "--root", data)
    text = json.dumps(found)
    assert code == 1 and "secret" not in text and "/ada" not in text and "~/weights" in text and "USER" in text


@pytest.mark.parametrize(
    ("home", "path", "shown"),
    [
        ("/home/ada", "/home/ada/x, in /home/ada. Two", "~/x, in ~. Two"),
        ("/home/ada", "/home/adam/x and /home/ada.old", "/home/adam/x and /home/ada.old"),
        ("/", "/srv/x", "/srv/x"),
        ("C:\\Users\\ada", "C:\\Users\\ada\\x (C:\\Users\\adam)", "~\\x (C:\\Users\\adam)"),
    ],
)
def test_a_home_is_left_out_as_a_whole(monkeypatch, home, path, shown):
    from zsc.cli import doctor as command

    monkeypatch.setattr(command.getpass, "getuser", lambda: "nobody at all")
    monkeypatch.setattr(command.Path, "home", lambda: home)
    assert command._public(path) == shown


@pytest.mark.slow
def test_it_asks_no_network_and_runs_by_itself(tmp_path):
    """A process that may open no socket; every command word is pasteable as plain text."""
    closed = "import socket; socket.socket.connect = socket.getaddrinfo = None"
    closed += "; from zsc.cli import main; raise SystemExit(main(['doctor']))"
    here = os.environ | {"ZSC_WEIGHTS": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", closed], capture_output=True, text=True, env=here, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "No problem was found." and "\x1b" not in done.stdout
