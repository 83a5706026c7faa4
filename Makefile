# make alone lists the targets. Each does the set-up it needs; a second call starts at once.
#   PYTHON=python3.12      the Python that makes the virtual environment (3.10 or newer)
#   LESSONS=FOLDER         where make lessons writes
#   VENV=FOLDER            its folder, such as for a second Python beside the first
#   PIP_FLAGS="..."        options for pip, such as --quiet or another index

PYTHON ?= python3
PIP_FLAGS ?=
ROOT ?= data
VENV ?= .venv
LESSONS ?= lessons
# unless a Python is named, an existing environment is used, whatever python3 is today
NAMED := $(if $(filter file,$(origin PYTHON)),,--named)
# recipes read paths from environment variables, so that spaces need no care; ~ and quotes mean what they mean in a shell
path = $(subst ",,$(subst ',,$(subst |,,$(subst |~/,$(HOME)/,|$(1)))))
override PYTHON := $(call path,$(PYTHON))
override ROOT := $(call path,$(ROOT))
override VENV := $(call path,$(VENV))
SETUP = if [ -z "$(NAMED)" ] && [ -x "$$VENV/bin/python" ]; then PYTHON="$$VENV/bin/python"; fi; \
  $(CHECK) && "$$PYTHON" .ci/environment.py "$$VENV" $(NAMED) $(PIP_FLAGS)
override LESSONS := $(call path,$(LESSONS))
export PYTHON ROOT VENV LESSONS
RUN := "$$VENV/bin/python" -m
TOO_OLD = import sys; sys.exit(0 if sys.version_info >= (3, 10) else "zsc needs Python 3.10 or newer; %s is %s. Try make \
  PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))
CHECK = { command -v "$$PYTHON" >/dev/null || { echo "There is no Python called $$PYTHON. Try make PYTHON=python3.12" >&2; \
  exit 1; }; } && "$$PYTHON" -c '$(TOO_OLD)'

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick lint lab browser notebooks lessons docs toy bench data reproduce runtime dist constraints clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

setup:  ## make .venv with everything (once: 2 to 5 minutes, 7 GB)
	@$(SETUP)

demo:  ## classify real photographs, and see what prompts change (installs no more than that needs)
	@$(SETUP) --extras=models,samples
	@$(RUN) zsc demo

test: setup  ## run all tests in parallel (no network; about 12 minutes on 2 cores)
	@$(RUN) pytest -n auto --dist worksteal

test-quick: setup  ## run the tests that cost little (about 3 minutes)
	@$(RUN) pytest -n auto --dist worksteal -m "not slow"

lint: setup  ## check style and types
	@$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) mypy

lab: setup  ## open the notebooks in JupyterLab
	@$(RUN) jupyterlab --notebook-dir=notebooks

browser: setup  ## run a notebook in a real browser (needs Debian's chromium)
	@command -v chromium >/dev/null || { echo "no chromium here: apt-get install chromium, then make browser" && exit 1; }
	@$(RUN) pytest tests/test_browser.py

notebooks: setup  ## run every notebook again and keep the outputs
	@"$$VENV/bin/python" notebooks/run.py

lessons: setup  ## write students' copies without answers, and the teacher's key (LESSONS=lessons)
	@"$$VENV/bin/python" notebooks/run.py --lessons "$$LESSONS"

docs:  ## build the site into build/site/ and check it (two minutes; open build/site/index.html)
	@$(SETUP) --extras=docs,models,onnx
	@rm -rf build/site build/jupyter_execute docs/site/live && if [ -d zsc/explorer/runtime ]; then "$$VENV/bin/python" docs/site/live.py docs/site/live; \
	  else echo "no live explorer: make runtime fetches what it needs" >&2; fi
	@$(RUN) sphinx -b html -c docs . build/site -W --keep-going -q && \
	  "$$VENV/bin/python" docs/site/check.py build/site

toy: setup  ## train the toy CLIP again from its seed (12 to 45 minutes; toy-again/, nothing is replaced)
	@$(RUN) reproduction.toy --out toy-again/toy.pt

bench: setup  ## measure speed against the tutorials and other libraries (20 minutes; benchmark.json)
	@$(RUN) benchmarks
	@$(RUN) benchmarks.scoring
	@$(RUN) benchmarks.explorer

data: setup  ## download and check the three data sets (ROOT=data)
	@failed=0; for name in glasses afhq imagenette; do \
	  $(RUN) zsc download $$name --root "$$ROOT" && $(RUN) zsc datasets check $$name --root "$$ROOT" || failed=1; \
	  done; exit $$failed

reproduce: setup  ## rerun the tutorials on real CLIP and data: their numbers beside ours (ROOT=data)
	@$(RUN) zsc reproduce all --root "$$ROOT"

runtime:  ## fetch onnxruntime-web through npm: what runs the explorer's pages (once, 30 MB; 14 MB stay)
	@command -v npm >/dev/null || { echo "there is no npm here: install Node.js, then make runtime" >&2; exit 1; }
	@version=$$(sed -n 's/^RUNTIME = "\([^"]*\)".*/\1/p' zsc/explorer/page.py) && fresh=$$(mktemp -d) && \
	  trap 'rm -rf "$$fresh"' EXIT INT TERM && \
	  npm pack --silent --pack-destination "$$fresh" "onnxruntime-web@$$version" >/dev/null && \
	  mkdir -p zsc/explorer/runtime && tar -xzmf "$$fresh/onnxruntime-web-$$version.tgz" -C zsc/explorer/runtime \
	  --strip-components=2 package/dist/ort.wasm.min.js package/dist/ort-wasm-simd-threaded.mjs \
	  package/dist/ort-wasm-simd-threaded.wasm && ls -l zsc/explorer/runtime

dist: runtime  ## build wheel and sdist into dist/, and check them and the workflows
	@$(SETUP) --extras=models,onnx,release
	@rm -rf zsc/toy/onnx && $(RUN) zsc models export toy --into zsc/toy/onnx
	@$(RUN) build --outdir dist . >/dev/null && ls -l dist && "$$VENV/bin/twine" check --strict dist/* && \
	  "$$VENV/bin/check-wheel-contents" dist/*.whl && "$$VENV/bin/actionlint" .github/workflows/*.yml && \
	  "$$VENV/bin/zizmor" --offline --quiet .github/workflows

constraints: ## write constraints.txt from a fresh environment without constraints
	@$(CHECK) && fresh=$$(mktemp -d .venv-fresh.XXXXXX) && trap 'rm -rf "$$fresh"' EXIT INT TERM && "$$PYTHON" -m venv "$$fresh" && \
	  "$$fresh/bin/python" -m pip install $(PIP_FLAGS) --quiet -e '.[dev,notebooks,docs,release]' && \
	  "$$fresh/bin/python" -m pip freeze --exclude-editable --exclude zsc-clip > "$$fresh/frozen" && \
	  grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' "$$fresh/frozen" > "$$fresh/constraints.txt" && \
	  mv "$$fresh/constraints.txt" constraints.txt && wc -l constraints.txt

clean:  ## remove the environment and everything built; data sets stay
	@if [ -e "$$VENV/.installed" ]; then rm -rf "$$VENV"; elif [ -e "$$VENV" ]; then echo "$$VENV stays: make has not made it."; fi
	@rm -rf .venv-fresh .venv-fresh.?????? build dist docs/api docs/site/live *.egg-info .ruff_cache .mypy_cache .hypothesis tests/.cache
	@rm -rf zsc/toy/onnx zsc/explorer/runtime zsc-demo.png benchmark.json benchmark-part.json explorer-benchmark.json reproduced toy-again
	@find zsc tests benchmarks reproduction notebooks .ci -exec test -e '{}/pyvenv.cfg' \; -prune -o \
	  -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
