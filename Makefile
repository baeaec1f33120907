.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
RUFF := .venv/bin/ruff

.PHONY: help setup demo test test-all lint format bench

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	  sed -E 's/^([a-z-]+):[^#]*## /\1	/' | \
	  awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: ## Make .venv with Python 3.7 and install requirements.lock
	@tools/setup_env.sh

demo: setup ## Train a small detector on synthetic images (about 6 minutes)
	$(PYTHON) tools/demo.py

test: setup ## Run the quick tests (about 6 minutes on 2 cores)
	$(PYTHON) -m pytest -m "not slow" -n 2 --dist loadfile

test-all: setup ## Run all tests, also those that take minutes
	$(PYTHON) -m pytest -n 2 --dist loadfile

lint: setup ## Check style and format, change nothing
	$(RUFF) check .
	$(RUFF) format --check .

format: setup ## Mend style and format in place
	$(RUFF) check --fix .
	$(RUFF) format .

bench: setup ## Measure input pipeline and network against this machine
	$(PYTHON) tools/benchmark.py
