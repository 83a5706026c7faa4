# make alone lists the targets. Each does the set-up it needs; a second call starts at once.
#   PYTHON=python3.12      the Python that makes the virtual environment (3.10 or newer)
#   PIP_FLAGS="..."        options for pip, such as --quiet or another index

PYTHON ?= python3
PIP_FLAGS ?=
ROOT ?= data
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# the tested versions ask for Python 3.11; on 3.10 pip chooses
CONSTRAINTS = $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" if sys.version_info >= (3, 11) else "")')

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lab browser notebooks toy bench data reproduce constraints clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv with everything (once: 2 to 5 minutes, 7 GB)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else f"zsc needs Python 3.10 or newer; {sys.executable} is {sys.version.split()[0]}. Try make PYTHON=python3.12")'
	@echo "Setting up $(VENV): once, 2 to 5 minutes, 7 GB, mostly torch."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install $(PIP_FLAGS) --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[dev,notebooks]'
	@touch $@

demo: $(STAMP)  ## classify real photographs, and see what prompts change
	@$(BIN)/python -m zsc demo

test: $(STAMP)  ## run the tests (no network; about 10 minutes on 2 cores)
	@$(BIN)/python -m pytest

lint: $(STAMP)  ## check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lab: $(STAMP)  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=notebooks

browser: $(STAMP)  ## run a notebook in a real browser (needs Debian's chromium)
	@command -v chromium >/dev/null || { echo "no chromium here: apt-get install chromium, then make browser" && exit 1; }
	@$(BIN)/python -m pytest tests/test_browser.py

notebooks: $(STAMP)  ## run every notebook again and keep the outputs
	@$(BIN)/python notebooks/run.py

toy: $(STAMP)  ## train the toy CLIP again from its seed (12 to 45 minutes; toy-again/, nothing is replaced)
	@$(BIN)/python -m zsc.toy --out toy-again/toy.pt

bench: $(STAMP)  ## measure speed against the tutorials and other libraries (20 minutes; benchmark.json)
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.scoring
	@$(BIN)/python -m benchmarks.explorer

data: $(STAMP)  ## download and check the three data sets (ROOT=data)
	@failed=0; for name in glasses afhq imagenette; do \
	  $(BIN)/python -m zsc download $$name --root $(ROOT) && $(BIN)/python -m zsc datasets check $$name --root $(ROOT) || failed=1; \
	  done; exit $$failed

reproduce: $(STAMP)  ## rerun the tutorials on real CLIP and data: their numbers beside ours (ROOT=data)
	@$(BIN)/python -m zsc reproduce all --root $(ROOT)

constraints: ## write constraints.txt from a fresh environment without constraints
	@rm -rf .venv-fresh && $(PYTHON) -m venv .venv-fresh
	@.venv-fresh/bin/pip install $(PIP_FLAGS) --quiet -e '.[dev,notebooks]'
	@.venv-fresh/bin/pip freeze --exclude-editable --exclude zsc-clip | grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' > constraints.txt
	@rm -rf .venv-fresh && wc -l constraints.txt

clean:  ## remove the environment and everything built; data sets stay
	@rm -rf $(VENV) .venv-fresh build dist .ruff_cache .mypy_cache .hypothesis tests/.cache zsc-demo.png
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
