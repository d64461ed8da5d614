# Everything a person types. The environment is .venv, made with PYTHON; TORCH chooses the build of PyTorch:
# empty for what the package index gives (CUDA on Linux), cpu, or a CUDA version such as cu130.
PYTHON ?= python3
TORCH ?=
CORES ?= all

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
TESTABLE := $(VENV)/.testable
TORCH_VERSION := 2.13.0
TORCH_INDEX := $(if $(TORCH),--index-url https://download.pytorch.org/whl/$(TORCH))

.DEFAULT_GOAL := help
.PHONY: help setup demo report test test-long test-slurm docs

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## the environment in .venv (TORCH=cpu or TORCH=cu130 for another PyTorch than the default)

$(READY): pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet torch==$(TORCH_VERSION) $(TORCH_INDEX)
	$(RUN) -m pip install --quiet --editable '.[dev]'
	touch $(READY)

$(TESTABLE): $(READY)
	$(RUN) -m pip install --quiet --editable '.[dev,cluster]'
	$(RUN) -m pip install --quiet --editable '.[dev,kernels]' || echo "no Triton here: tests of its kernels are skipped"
	touch $(TESTABLE)

demo: $(READY) ## draw videos, compute their features, train baseline, teacher and student, evaluate: no download
	$(RUN) -m snakemake --cores $(CORES) results/student_demo.json

report: $(READY) ## see what the demo's student has learnt: report.html, one page that works offline
	$(RUN) -m snakemake --cores $(CORES) results/report_student_demo.html --report report.html --report-after-run

test: $(TESTABLE) ## linters, types, tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m snakefmt --check Snakefile rules
	$(RUN) -m snakemake --lint
	$(RUN) -m mypy
	$(RUN) -m pytest -m 'not long and not slurm'

test-long: $(TESTABLE) ## the tests that take minutes
	$(RUN) -m pytest -m long

test-slurm: $(TESTABLE) ## a run on a Slurm cluster that is started on this machine, as root; installs Slurm by apt if need be
	$(RUN) -m pytest -m slurm -rs tests/slurm

docs: $(READY) ## config/README.md, from the schema
	$(RUN) workflow/schemas/document.py
