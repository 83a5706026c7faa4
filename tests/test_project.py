"""The project is what its own pages say: dependencies, walls, README, Makefile."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from zsc import cli

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted((ROOT / "zsc").rglob("*.py"))
CONDA_NAMES = {"pytorch": "torch"}
FLOORS = [  # imports go downwards only; a module may import its own floor
    {
        "files",
        "provenance",
        "checks",
        "images",
        "prompts",
        "datasets",
        "store",
        "scoring",
        "matching",
        "results",
        "toy",
    },
    {"calibration", "evaluation", "labels"},
    {"models", "plots"},
    {"embeddings"},
    {"classifier", "retrieval", "probes"},
    {"selection", "explorer", "report", "demo", "cluster", "reproduction", "cli", "__main__"},
]


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


class TestImport:
    def test_it_loads_nothing_heavy(self):
        code = "import sys, zsc; print(*sorted(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not {"torch", "pandas", "numpy", "sklearn", "matplotlib"} & set(done.stdout.split())

    def test_data_and_prompts_load_no_torch(self):
        code = (
            "import sys, zsc; zsc.load_dataset('samples'); zsc.ClassPrompts; zsc.evaluation; zsc.available_models()\n"
            "zsc.plots; zsc.ZeroShotClassifier; print('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"

    def test_every_public_name_is_there(self):
        import zsc

        for name in zsc.__all__:
            assert getattr(zsc, name) is not None
        assert dir(zsc) == sorted(zsc.__all__)
        assert set(zsc.__all__) == {"__version__", *zsc._HOME, *zsc._MODULES}
        with pytest.raises(AttributeError, match="has no attribute 'nothing'; it has"):
            zsc.nothing  # noqa: B018


def imported(path):
    """List the modules that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def rooms_imported(tree):
    """List the rooms of the package that a module imports, but for the blocks `if TYPE_CHECKING:`."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("zsc."))
        elif isinstance(node, ast.ImportFrom) and node.module == "zsc":
            yield from (alias.name for alias in node.names if alias.name in {room(p) for p in MODULES})
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zsc."):
            yield node.module.split(".")[1]


def room(path):
    inside = path.relative_to(ROOT / "zsc").parts
    return inside[0].removesuffix(".py")


class TestWalls:
    def test_only_models_import_torch(self):
        users = [p for p in MODULES if any(n.split(".")[0] in ("torch", "torchvision") for n in imported(p))]
        assert {room(p) for p in users} == {"models", "toy"}
        assert {p.name for p in users if room(p) == "toy"} == {"pretrain.py"}

    def test_imports_go_downwards_only(self):
        floor_of = {name: i for i, floor in enumerate(FLOORS) for name in floor}
        for path in MODULES:
            if path == ROOT / "zsc/__init__.py":
                continue
            for target in rooms_imported(ast.parse(path.read_text(encoding="utf-8"))):
                assert floor_of[target] <= floor_of[room(path)], f"{path.name} imports {target}"

    def test_only_the_command_line_prints(self):
        for path in MODULES:
            calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
            assert room(path) == "cli" or not any(getattr(c.func, "id", "") == "print" for c in calls), path


class TestDependencies:
    def test_environment_yml_has_the_card_and_agrees(self):
        environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
        conda = [d for d in environment["dependencies"] if isinstance(d, str)]
        pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
        names = {CONDA_NAMES.get(n, n) for n in (re.split(r"[=<> ]", d)[0] for d in conda)}
        assert {"torch", "torchvision", "jupyterlab", "matplotlib", "seaborn", "pandas", "scikit-learn"} <= names
        extras = PYPROJECT["project"]["optional-dependencies"]
        listed = {canonical(Requirement(r).name) for r in PYPROJECT["project"]["dependencies"] + extras["notebooks"]}
        assert names - {"python", "pip", "git"} <= listed
        lowest = {canonical(r.name): r.specifier for r in map(Requirement, PYPROJECT["project"]["dependencies"])}
        for requirement in map(Requirement, (d for d in conda if d not in ("git", "pip") and "python=" not in d)):
            name = canonical(CONDA_NAMES.get(requirement.name, requirement.name))
            assert requirement.specifier == lowest.get(name, requirement.specifier), name
        assert "kaggle" in pip and "kaggle" in listed
        git = next(p for p in pip if p.startswith("git+"))
        assert re.fullmatch(r"git\+https://github\.com/openai/CLIP\.git@[0-9a-f]{40}", git)
        assert extras["clip"] == [f"clip @ {git}"]
        assert "-e .[notebooks]" in pip

    def test_the_constraints_are_plain_and_fit(self):
        lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
        exact = {canonical(name): version for name, version in (line.split("==") for line in lines)}
        extras = PYPROJECT["project"]["optional-dependencies"]
        wanted = PYPROJECT["project"]["dependencies"] + [r for name in extras if name != "clip" for r in extras[name]]
        for text in wanted:
            requirement = Requirement(text)
            if requirement.name == "zsc-clip":  # an extra that takes in others
                continue
            assert requirement.specifier.contains(exact[canonical(requirement.name)]), text

    def test_what_the_package_imports_is_a_dependency(self):
        distribution = {
            "PIL": "pillow",
            "yaml": "pyyaml",
            "sklearn": "scikit-learn",
            "clip": None,
            "urllib3": "requests",
        }
        extras = [r for some in PYPROJECT["project"]["optional-dependencies"].values() for r in some]
        listed = {canonical(Requirement(r).name) for r in PYPROJECT["project"]["dependencies"] + extras}
        for path in MODULES:
            for name in {n.split(".")[0] for n in imported(path)} - sys.stdlib_module_names - {"zsc"}:
                package = distribution.get(name, {"open_clip": "open_clip_torch"}.get(name, name))
                assert package is None or canonical(package) in listed, f"{path.name}: {name}"


def project_files():
    """List what belongs to the project: what git tracks, or in an archive of it what lies in its folders."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.split("\0") if name]
    folders = ("benchmarks", "docs", "notebooks", "tests", "zsc", "data/reference", ".ci")
    inner = [p for folder in folders for p in (ROOT / folder).rglob("*") if "__pycache__" not in p.parts]
    return [p for p in (*ROOT.iterdir(), *(ROOT / "data").glob("*.md"), *inner) if p.suffix != ".pyc" and p.is_file()]


class TestPages:
    def test_the_tree_is_there(self):
        tree = next(b for b in blocks("") if "zsc/" in b)
        folder = ""
        for line in tree.splitlines():
            name = line.split()[0]
            folder = "" if not line.startswith("  ") else folder
            assert (ROOT / folder / name).exists(), line
            folder = name if name.endswith("/") and not line.startswith("  ") else folder
        rooms = {room(p) for p in MODULES if not p.name.startswith("_")}
        assert rooms <= set(re.findall(r"^  (\w+)(?:\.py|/)", tree, re.MULTILINE))

    def test_the_links_lead_somewhere(self):
        pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "data").glob("*.md")]
        for page in pages:
            for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"

    def test_the_commands_exist(self, capsys):
        listed = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
        words = re.findall(r"`(?:make|zsc) [^`]*`", README.replace("\n", " ")) + "\n".join(blocks("bash")).splitlines()
        for command in (w.strip("`") for w in words):
            if command.startswith("make ") and command != "make alone":
                assert f"make {command.split()[1]} " in listed, command
            if command.startswith("zsc "):
                name, *rest = command.split()[1:]
                with pytest.raises(SystemExit) as caught:
                    cli.main([name, "--help"])
                assert caught.value.code == 0, command
                known = capsys.readouterr().out
                assert all(word in known for word in rest if word.startswith("--")), command

    def test_the_python_block_runs(self, capsys, conse, monkeypatch):
        monkeypatch.setattr("zsc.models.load_model", lambda *a, **k: conse)
        for block in blocks("python"):
            exec(compile(block, "README", "exec"), {})
        out = capsys.readouterr().out
        assert "a photo of a cat" in out and "accuracy 0.529 (9 of 17), 95 % interval 0.310 to 0.738" in out

    def test_every_notebook_is_in_the_table(self):
        for notebook in (ROOT / "notebooks").glob("*.ipynb"):
            assert f"](notebooks/{notebook.name})" in README

    def test_make_alone_lists_every_target_with_a_line(self):
        listed = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
        phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
        for target in phony:
            assert re.search(rf"^make {target} +\S", listed, re.MULTILINE), target
        for target in ("setup", "demo", "test", "lab", "lint", "bench", "notebooks", "data", "reproduce", "clean"):
            assert target in phony

    def test_nothing_of_this_machine_is_in_the_project(self):
        traces = re.compile("/wo" + "rk/|pypi\\.or" + "g|pythonho" + "sted|site-pack" + "ages/|/ro" + "ot/")
        for path in project_files():
            if path.suffix not in (".jpg", ".png", ".pt") and path.name != "test_notebooks.py" and path.is_file():
                assert not traces.search(path.read_text(encoding="utf-8")), path
