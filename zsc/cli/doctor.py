"""`zsc doctor`: what is installed and on this machine, what of it does not work, and the remedy.

What it prints can be pasted into an issue: the home directory and the user's name stand nowhere in it, no variable of
the environment is shown, and the network is not asked.
"""

import getpass
import json
import os
import platform
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from zsc.cli import _options
from zsc.cli._printing import Outcome, labelled
from zsc.datasets import dataset_names, load_dataset
from zsc.models import TOY_GRAPHS, auto_model
from zsc.models.weights import OPENAI_WEIGHTS, WeightsError, get_weights, weights_are_here, weights_path

OPTIONS = (_options.ROOT,)
UNASKED = ("dev", "docs", "release", "clip")  # extras of developers, and OpenAI's own
LITTLE = 2e9  # bytes: less room than this on a disk is a problem
WIDGETS = "jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json"
Found = tuple[str, str, str]  # what was looked at, how it is, and the remedy where that is a problem


def run(arguments: Namespace) -> Outcome:
    """Say what is installed, which models and data are here and sound, and what to do about each problem."""
    parts = {"zsc": _program, "Packages": _packages, "Models": _models, "Data sets": _data, "Engine": _engine}
    data: dict[str, Any] = {}
    text, problems = [], []
    for part, look in (parts | {"Room": _room, "Notebooks": _notebooks}).items():
        rows = [tuple(map(_public, row)) for row in look(arguments)]
        data[part] = [{"what": what, "state": state, "remedy": remedy} for what, state, remedy in rows]
        text += [labelled("" if k else part, f"{what}: {state}") for k, (what, state, _) in enumerate(rows)]
        problems += [f"{what}: {state}; {remedy}." for what, state, remedy in rows if remedy]
    text += ["", *(labelled("Problem", line) for line in problems)] if problems else ["", "No problem was found."]
    return Outcome(data | {"problems": problems}, text, 1 if problems else 0)


def _public(text: str) -> str:
    """Leave out the home directory, and the user's name wherever else it is part of a path."""
    if (home := str(Path.home())) != os.sep:
        text = re.sub(rf"{re.escape(home)}(?=\.?(?:[^\w.-]|$))", "~", text)
    with suppress(Exception):  # a container's user may have no name
        text = re.sub(rf"(?<=[/\\\\]){re.escape(getpass.getuser())}(?=[/\\\\]|$)", "USER", text)
    return text


def _program(_: Namespace) -> Iterator[Found]:
    yield "version", f"{metadata.version('zsc-clip')}, in {Path(_options.__file__).parents[1]}", ""
    yield "Python", f"{platform.python_version()}, {sys.prefix}", ""
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors", ""


def _packages(_: Namespace) -> Iterator[Found]:
    """Look at the core and at each extra: the version of each package, or the line that installs what is missing."""
    wanted: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, metadata.requires("zsc-clip") or ()):
        marked = re.search(r"extra == ['\"](\w+)['\"]", str(requirement.marker or ""))
        extra = marked[1] if marked else "the core"
        if requirement.name != "zsc-clip" and extra not in UNASKED:
            wanted.setdefault(extra, []).append(requirement)
    for extra, requirements in wanted.items():
        here = {}
        for one in requirements:
            with suppress(metadata.PackageNotFoundError):
                version = here[one.name] = metadata.version(one.name)
                if not one.specifier.contains(version, prereleases=True):
                    yield one.name, version, f"zsc needs {one.specifier}: pip install '{one.name}{one.specifier}'"
        missing = [one.name for one in requirements if one.name not in here]
        line = f"pip install 'zsc-clip[{extra}]'" if extra != "the core" else "pip install zsc-clip"
        state = f"not here: {', '.join(missing)} ({line})" if missing else ", ".join(map(" ".join, here.items()))
        yield extra, state, line if missing and extra == "the core" else ""


def _models(_: Namespace) -> Iterator[Found]:
    """Look at the weights that are on this machine: OpenAI's by their checksum."""
    yield "auto", " because ".join(auto_model()), ""
    for name in OPENAI_WEIGHTS:
        if weights_are_here(name):
            try:
                yield name, f"sound, {get_weights(name)}", ""
            except WeightsError:
                yield name, f"{weights_path(name)} is not OpenAI's file", "remove it, and it is fetched when it is used"
    by_graph = TOY_GRAPHS.is_dir() and not find_spec("torch")
    parts: dict[str, tuple[str, ...]] = {"toy": ("onnxruntime", "tokenizers") if by_graph else ("torch", "open_clip")}
    parts |= {"conse": ("torch", "transformers", "efficientnet_lite_pytorch")}
    for name, packages in parts.items():
        missing = [package for package in packages if find_spec(package) is None]
        yield name, f"needs {', '.join(missing)}" if missing else "installed", ""


def _data(arguments: Namespace) -> Iterator[Found]:
    for name in dataset_names(published=True):
        try:
            found = load_dataset(name, arguments.data_root)
        except FileNotFoundError:
            yield name, f"not in {arguments.data_root} (zsc download {name})", ""
        except (OSError, ValueError) as error:
            yield name, f"not whole: {error}", f"zsc datasets check {name} says more"
        else:
            yield name, f"{len(found)} pictures (zsc datasets check {name} opens each)", ""


def _engine(_: Namespace) -> Iterator[Found]:
    """Say which device and precision "auto" stands for here; importing torch is what tells."""
    try:
        with redirect_stderr(StringIO()):
            torch: Any = import_module("torch")
            base: Any = import_module("zsc.models.base")
    except ImportError as error:
        remedy = "reinstall it: pip install 'zsc-clip[models]', or a model that was exported"
        yield "torch", f"not here ({error.name or error})", remedy if find_spec("torch") else ""
        return
    device = base.choose_device()
    why = "the first of cuda, mps, cpu that is here"
    yield "device", f"{device}, {why}; {torch.get_num_threads()} threads, torch {torch.__version__}", ""
    yield "precision", f"{base.choose_precision('auto', device)}; float16 is for cuda alone", ""
    if find_spec("openvino"):
        flags = import_module("zsc.models.openvino").cpu_flags()
        fast = [kind for kind, flag in (("bfloat16", "amx_bf16"), ("int8", "avx512_vnni")) if flag in flags]
        yield "openvino", f"here; fast on this processor: float32{''.join(', ' + kind for kind in fast)}", ""


def _room(arguments: Namespace) -> Iterator[Found]:
    for what, folder in (("disk of the cache", Path.home()), ("disk of this folder", Path.cwd())):
        free = shutil.disk_usage(folder).free
        remedy = f"make room: weights are 0.3 to 1.7 GB, so free {LITTLE / 1e9:.0f} GB" if free < LITTLE else ""
        yield what, f"{free / 1e9:.1f} GB free", remedy
    with suppress(OSError, KeyError):  # Linux tells what is free of the memory
        known = dict(re.findall(r"(\w+): +(\d+) kB", Path("/proc/meminfo").read_text()))
        spare, whole = (f"{int(known[key]) / 1e6:.1f}" for key in ("MemAvailable", "MemTotal"))
        yield "memory", f"{spare} of {whole} GB free", ""


def _notebooks(_: Namespace) -> Iterator[Found]:
    """Look for what shows widgets: ipywidgets in the kernel, and its half for the browser where JupyterLab runs."""
    if find_spec("ipywidgets") is None:
        yield "widgets", "not here, so the explorer has no panel (pip install 'zsc-clip[widgets]')", ""
        return
    browser, remedy = "missing", "pip install --force-reinstall jupyterlab_widgets where JupyterLab runs, and reload"
    for page in (Path(prefix) / "share" / WIDGETS for prefix in ("/usr", "/usr/local", sys.prefix)):
        if page.is_file():
            browser, remedy = json.loads(page.read_text(encoding="utf-8"))["version"], ""
    yield "widgets", f"ipywidgets {metadata.version('ipywidgets')}, JupyterLab's half {browser}", remedy
