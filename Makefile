# Every target but help builds .venv if it is missing or older than requirements.lock.

PYTHON ?= python3
# Number of concurrent trainings; by default, one per available core if there is enough memory.
JOBS ?=

jobs = $(or $(JOBS),$$(python -m study.base.resources))

# Without a shell, the make of macOS would look for commands in its own PATH, not in this one.
SHELL := /bin/bash
VENV := .venv/installed
# dvc.yaml says `python`: the one in .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# The process whose end every stage notices: DVC outlives a make that is killed.
WATCHED := END_WITH_PID=$${END_WITH_PID:-$$PPID}

# Texts with parts that cog fills in.
FILLED := $(shell grep --files-with-matches '^<!-- \[\[\[cog' README.md docs/*.md)

# The page's source; deno lints and formats JavaScript and style sheets, without a network.
SCRIPTS := study/page/site
export DENO_NO_UPDATE_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help first-look repro train experiments compare test test-slow faults verify bench readme check format lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' Makefile

# In a temporary folder, so that the workspace stays as it is; --force replaces an earlier one.
first-look: $(VENV) ## Train two models briefly, as an experiment
	$(WATCHED) dvc exp run --temp --force --name first-look -S train.train_images=6000 \
	  -S train.epochs=1 -S train.batch_size=16 $$(dvc stage list --name-only | grep '^evaluate@' | head -2)
	dvc metrics diff HEAD first-look

repro: $(VENV) ## Run the pipeline (JOBS=2: two models at once)
	@[[ '$(JOBS)' =~ ^([1-9][0-9]*)?$$ ]] || \
	  { echo "error: JOBS must be an integer of at least 1, got '$(JOBS)'" >&2; exit 1; }
	$(WATCHED) dvc repro download summarize
	$(WATCHED) $(MAKE) --no-print-directory -j $(jobs) train
	$(WATCHED) dvc repro

# Each training by itself: make runs JOBS of them at once, and starts no more when one fails. The
# last models train longest and go first, so that no core waits for them at the end.
train: $(VENV)
	@$(MAKE) --no-print-directory $$(dvc stage list --name-only | grep '^train@' | sort -r)
train@%: $(VENV)
	$(WATCHED) dvc --wait-for-lock repro --single-item $@

experiments: $(VENV) ## Train the missing runs (SEEDS=1-5, JOBS=2, or RAY=auto)
	@python -m experiments --jobs $(jobs) $(if $(RAY),--ray '$(RAY)') \
	  $(if $(CONFIGURATIONS),--configurations $(CONFIGURATIONS)) $(if $(SEEDS),--seeds '$(SEEDS)')

compare: $(VENV) ## Compare two models (A=model_2 B=model_4)
	@python -m experiments.compare '$(A)' '$(B)'

test: $(VENV) ## Run the fast tests
	pytest -n 2 --dist loadgroup -m "not slow"

test-slow: $(VENV) ## Run the slow tests, except fault injection
	pytest -n 2 --dist loadgroup -m "slow and not fault"

faults: $(VENV) ## Run fault-injection tests and write tests/faults/README.md
	pytest -n 2 --dist loadgroup -m fault --faults tests/faults/README.md

verify: $(VENV) ## Retrain and compare with dvc.lock (MODELS=model_3)
	python -m tests.verify $(MODELS)

bench: $(VENV) ## Benchmark against a plain PyTorch loop
	@python -m benchmarks
	@$(MAKE) --no-print-directory readme

readme: $(VENV) ## Fill in generated parts of README and docs
	cog -P -I . -r $(FILLED)

check: $(VENV) ## Check format, style, types, run table and docs
	python -m experiments.check
	@cog -P -I . --check --check-fail-msg='run `make readme`' $(FILLED)
	ruff format --check
	ruff check
	cd $(SCRIPTS) && deno fmt --quiet --check && deno lint --quiet && deno check --quiet scripts
	mypy

format: $(VENV) ## Format the code
	ruff check --fix
	ruff format
	cd $(SCRIPTS) && deno fmt --quiet

lock: $(VENV) ## Upgrade and pin requirements.lock
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --upgrade --quiet \
	  --output-file requirements.lock pyproject.toml

$(VENV): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14) and \
	  f"error: Python must be 3.11 to 3.14, {sys.executable} is {sys.version.split()[0]}; name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --requirement requirements.lock
	@touch $@
