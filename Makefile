# Commands for users and developers; `make` lists them. Everything runs in .venv, which `make setup` creates from the lock file.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

# `python -m` instead of the programs in .venv/bin: those contain the path of .venv and break if the folder is moved.
PY   := .venv/bin/python
DEMO := config/demo.yaml
# With models this small, two engines at once are faster, even on two cores; see profiles/default for real models.
SNAKEMAKE_DEMO := $(PY) -m snakemake --configfile $(DEMO) --resources engine=2
# End-to-end tests often wait, for example for Slurm, so three workers share two cores (tests/conftest.py assigns the files).
WORKERS := --dist loadscope --no-loadscope-reorder --durations 20 --durations-min 10

.DEFAULT_GOAL := help
.PHONY: help setup demo report verify test test-fast test-e2e slurm-test lint format bench push schema architecture languages tiny-models pictures lock gpu-lock gpu-check clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## create .venv from requirements/cpu.txt; for GPUs: tools/setup.sh gpu
	@tools/setup.sh

demo: setup ## run the whole experiment in miniature
	@$(SNAKEMAKE_DEMO) --quiet host reason rules
	@echo "The report is $(CURDIR)/results/report/index.html"

report: setup ## rebuild only the missing or stale files of the miniature's report
	@$(SNAKEMAKE_DEMO) --quiet host reason rules -- report
	@echo "The report is $(CURDIR)/results/report/index.html"

test: test-fast test-e2e ## run all tests

test-fast: setup ## run the tests that take seconds
	$(PY) -m pytest --numprocesses 2 $(WORKERS) -m "not e2e and not slurm and not browser"

test-e2e: setup ## run the tests with Snakemake, engines, Slurm and a browser (minutes)
	@tools/install-packages.sh slurm browser
	$(PY) -m pytest --numprocesses 3 $(WORKERS) -m "e2e or slurm or browser"

slurm-test: setup ## run only the tests on a real Slurm
	@tools/install-packages.sh slurm
	$(PY) -m pytest -m slurm

lint: setup ## check style: ruff for Python, snakefmt for the rules
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m snakefmt --check Snakefile rules

format: setup ## reformat the code in this style
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .
	$(PY) -m snakefmt Snakefile rules

verify: setup ## recompute published numbers with this code
	$(PY) tools/verify.py

bench: setup ## run the benchmarks and update docs/benchmarks.md; one of them: make bench ONLY=dag
	$(PY) bench/run.py $(ONLY)

push: setup ## upload a data set to the Hub: make push REPO=owner/name ARCHITECTURE=A
	@test -n "$(REPO)" -a -n "$(ARCHITECTURE)" || { echo "usage: make push REPO=owner/name ARCHITECTURE=A [RESULTS=results]"; exit 2; }
	$(PY) workflow/scripts/push_dataset.py $(or $(RESULTS),results)/datasets/$(ARCHITECTURE) $(REPO)

schema: setup ## generate config/schema.json and config/README.md from the configuration's classes
	@PYTHONPATH=workflow/scripts $(PY) -m polypref.config.reference config

languages: setup ## add the languages of FLORES-200 and WMT24++ to resources/languages.yaml
	$(PY) tools/make_languages.py

architecture: setup ## generate the opening of docs/architecture.md from the package's docstrings and imports
	@$(PY) tools/describe_package.py

tiny-models: setup ## regenerate the miniature's data and checkpoints (about 15 minutes)
	$(PY) workflow/scripts/make_tiny_models.py

pictures: setup ## draw the pictures in README and docs from the miniature's results
	@tools/install-packages.sh dag browser
	@tools/pictures.sh

lock: setup ## resolve requirements/*.in into lock files; newest versions: tools/lock.sh --upgrade
	tools/lock.sh

gpu-lock: setup ## install requirements/gpu.txt in another folder and test it, without a GPU (12 GB, minutes)
	tools/install_gpu_lock.sh $(FOLDER)

gpu-check: ## run every part on this machine's GPU in under eight minutes; without a GPU: make gpu-check DRY=1
	$(PY) bench/gpu_check.py $(if $(DRY),--dry-device)

clean: ## remove results, logs and caches, but keep .venv
	rm -rf results/* .snakemake logs .pytest_cache .ruff_cache .hypothesis
