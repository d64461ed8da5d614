# Everything a person types. The environment is .venv, made with PYTHON; TORCH chooses the build of PyTorch:
# empty for what the package index gives (CUDA on Linux), cpu, or a CUDA version such as cu130.
PYTHON ?= python3
TORCH ?=
CORES ?= all

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
TESTABLE := $(VENV)/.testable
DOCUMENTED := $(VENV)/.documented
LOWEST := $(VENV)/lowest
LOWEST_SNAKEMAKE := $(shell sed -n 's/^min_version("\(.*\)")/\1.0/p' Snakefile)
PINNED := envs/constraints.txt
TORCH_VERSION := $(shell sed -n 's/^torch==//p' $(PINNED))
TORCHVISION_VERSION := $(shell sed -n 's/^torchvision==//p' $(PINNED))
TORCH_INDEX := $(if $(TORCH),--index-url https://download.pytorch.org/whl/$(TORCH))

.DEFAULT_GOAL := help
.PHONY: help setup clip demo report quick check test test-long test-lowest test-slurm docs

help: ## this list
	@echo "vidistill: raw videos and words to a trained model that finds moments. Start with: make demo"
	@echo
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/; s/^/  make /' | expand -t 20
	@echo
	@echo "  Options: PYTHON=python3.11, TORCH=cpu (or cu130, ...; empty: the package index's own), CORES=4"
	@echo "  Then: source .venv/bin/activate, and snakemake --cores all results/student_charades.json"
	@echo "  More: README.md, docs/tutorial.md (your own videos), docs/troubleshooting.md"

setup: $(READY) ## the environment in .venv (TORCH=cpu or TORCH=cu130 for another PyTorch than the default)

$(READY): pyproject.toml Makefile $(PINNED)
	@command -v $(PYTHON) > /dev/null || { echo "error: there is no $(PYTHON); install Python 3.11, or name it: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; make setup PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --no-compile torch==$(TORCH_VERSION) $(TORCH_INDEX)
	$(RUN) -m pip install --quiet --no-compile --constraint $(PINNED) --editable '.[dev]'
	$(RUN) -m compileall -qq -j 0 $(VENV)/lib || true # as pip does, but on all cores; not all templates are Python
	touch $(READY)

clip: $(READY) ## CLIP models: open_clip, and the torchvision that was built for this PyTorch (the same TORCH=...)
	$(RUN) -m pip install --quiet torchvision==$(TORCHVISION_VERSION) $(TORCH_INDEX)
	$(RUN) -m pip install --quiet --constraint $(PINNED) --editable '.[clip]'

$(DOCUMENTED): $(READY)
	$(RUN) -m pip install --quiet --constraint $(PINNED) --editable '.[docs]'
	touch $(DOCUMENTED)

$(TESTABLE): $(READY)
	$(RUN) -m pip install --quiet --no-compile --constraint $(PINNED) --editable '.[dev,app,cluster,docs,kernels]' \
	  || { echo "no Triton here: tests of its kernels are skipped"; \
	       $(RUN) -m pip install --quiet --no-compile --constraint $(PINNED) --editable '.[dev,app,cluster,docs]'; }
	touch $(TESTABLE)

demo: $(READY) ## generate toy videos, train baseline, teacher and student on them, evaluate: no download
	$(RUN) -m snakemake --cores $(CORES) results/student_demo.json

report: $(READY) ## what the demo's student learned: report.html, one page that works offline
	$(RUN) -m snakemake --cores $(CORES) results/report_student_demo.html --report report.html --report-after-run

# Else each of a thousand processes compiles what it imports.
check quick test test-long test-lowest test-slurm: export PYTHONDONTWRITEBYTECODE :=

check: $(TESTABLE)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m snakefmt --check Snakefile rules
	$(RUN) -m snakemake --lint
	$(RUN) -m mypy

quick: check ## linters, types, the tests that need no Snakemake
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile -m 'not long and not slurm and not whole_run'

test: check ## linters, types, tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m 'not long and not slurm'

test-long: $(TESTABLE) ## the tests that take minutes
	$(RUN) -m pytest -m long

test-lowest: $(TESTABLE) ## the tests that run the workflow, with the lowest Snakemake that it takes; `make test` has the newest
	$(RUN) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet snakemake==$(LOWEST_SNAKEMAKE)
	echo "import site; site.addsitedir('$$($(RUN) -c 'import site; print(site.getsitepackages()[0])')')" \
	  > $$($(LOWEST)/bin/python -c 'import site; print(site.getsitepackages()[0])')/others.pth
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	  -m 'whole_run and not long and not slurm' $(TESTS)

test-slurm: $(TESTABLE) ## runs by schedulers: Slurm, started on this machine as root, installed by apt if need be; a submit command
	$(RUN) -m pytest -m slurm -rs tests/test_generic.py tests/slurm

docs: $(DOCUMENTED) ## config/README.md and config/schema.json from the settings' models, and the pages in results/site
	PYTHONPATH=workflow $(RUN) -m vidistill.planning.document
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo "open results/site/index.html"
