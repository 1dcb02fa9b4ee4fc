# Every target builds .venv when it is missing or older than requirements.lock.

PYTHON ?= python3
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)

# Without a shell, the make of macOS would look for commands in its own PATH, not in this one.
SHELL := /bin/bash
VENV := .venv/installed
# dvc.yaml says `python`, which is to be the one in .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# The process whose end every stage notices: DVC does not end with make when that is killed.
ENDS_WITH_MAKE := ENDS_WITH=$${ENDS_WITH:-$$PPID}

.DEFAULT_GOAL := help
.PHONY: help repro training experiments test test-slow faults verify bench check format lock

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' Makefile

repro: $(VENV) ## Run the study, training JOBS models at once (as many as there are cores)
	@[[ '$(JOBS)' =~ ^[1-9][0-9]*$$ ]] || \
	  { echo "error: JOBS = '$(JOBS)': give a whole number, at least 1" >&2; exit 1; }
	$(ENDS_WITH_MAKE) dvc repro download
	$(ENDS_WITH_MAKE) $(MAKE) --no-print-directory -j $(JOBS) training
	$(ENDS_WITH_MAKE) dvc repro

# Each training stage by itself: make runs JOBS of them at once, and starts no more when one fails.
# The last models train longest and go first, so that no core is left waiting for them in the end.
training: $(addprefix train@,$(shell sed -n 's/^      \(model_[a-z0-9_]*\):.*/\1/p' dvc.yaml | sort -r))
train@%: $(VENV)
	$(ENDS_WITH_MAKE) dvc --wait-for-lock repro --single-item $@

experiments: $(VENV) ## Run what metrics/experiments.csv lacks, JOBS at once or on a Ray cluster (RAY=auto)
	@python -m experiments --jobs $(JOBS) $(if $(RAY),--ray '$(RAY)')

test: $(VENV) ## Run the tests that take minutes in all
	pytest -m "not slow"

test-slow: $(VENV) ## Run the tests that take longer, but for those of faults
	pytest -m "slow and not fault"

faults: $(VENV) ## Do to it what goes wrong elsewhere, and write tests/faults/README.md
	pytest -m fault --faults tests/faults/README.md

verify: $(VENV) ## Train again from nothing, compare all outputs with dvc.lock (MODELS=model_3: some)
	python -m tests.verify $(MODELS)

bench: $(VENV) ## Compare the speed with the textbook's loop (on an idle machine, 10 minutes)
	@python -m benchmarks

check: $(VENV) ## Check format, style and types, and the ledger against the metrics
	ruff format --check
	ruff check
	mypy
	python -m experiments.check

format: $(VENV) ## Put the code in its format
	ruff check --fix
	ruff format

lock: $(VENV) ## Write requirements.lock anew: the newest versions that pyproject.toml admits
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --upgrade --quiet \
	  --output-file requirements.lock pyproject.toml

$(VENV): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"{sys.executable} is Python {sys.version.split()[0]}: name a newer one, make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --requirement requirements.lock
	@touch $@
