# The words of this project. `make` lists them.
PYTHON ?= python3
VENV = .venv/bin/

.PHONY: help setup test coverage lint docs types wheel ci
help:
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile

setup: ## a virtual environment in .venv with what tests, docs and checks need
	$(PYTHON) -m venv .venv
	$(VENV)pip install -e ".[tests,docs]" pre-commit build mypy
	$(VENV)pre-commit install

test: ## all tests; make test ARGS="tests/test_models -k lr_head" for some, ARGS="-n 8" on 8 cores
	$(VENV)pytest -q $(ARGS)

coverage: ## lines and branches that tests reach, as a table and in htmlcov/; make coverage ARGS="-n 8"
	$(VENV)pytest -q --cov --cov-report=term --cov-report=html $(ARGS)

lint: ## style and form
	$(VENV)ruff check . && $(VENV)ruff format --check .

docs: ## the documentation as a site, in site/
	$(VENV)mkdocs build --strict

types: ## type checker
	$(VENV)mypy

wheel: ## dist/*.whl, which needs no clone
	$(VENV)python -m build --wheel

ci: ## everything a change must pass, in a fresh environment
	bash .ci/run
