# One command for each kind of visitor; `make help` lists them. Each sets up .venv by itself, once.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PROFILE ?= laptop
DEVICE ?= cpu
PORT ?= 8000
CHAPTERS ?= $(shell find book -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*' | sort)

BIN := .venv/bin
STAMP := .venv/.installed
SITE := _build/html/index.html
NORMALISE := $(BIN)/nbstripout --keep-output --keep-count --keep-id --extra-keys 'metadata.papermill cell.metadata.papermill metadata.language_info metadata.jupytext cell.metadata.execution'

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "Settings: PROFILE=smoke|laptop|paper DEVICE=cpu|cuda ALL=1 (reproduce), PORT=8000 (serve), PYTHON=python3.12 (set-up)."
	@echo "Start with: make book"

# The environment is complete when the stamp is there; change a pin and it is brought up to date.
$(STAMP): requirements.lock pyproject.toml
	@for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$${python:-}" ]; then \
	  echo "No Python 3.11 or newer found. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ]; then \
	  echo "Setting up .venv with $$("$$python" --version), once; PyTorch makes this a download of some gigabytes."; \
	  "$$python" -m venv .venv || { echo "venv failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: $(STAMP)  ## for maintainers: after a change of requirements.txt, pin every package it brings, with hashes
	@$(BIN)/uv pip compile requirements.txt --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" --output-file requirements.lock --quiet
	@echo "requirements.lock is up to date; look at: git diff requirements.lock"

.PHONY: book
book: $(STAMP)  ## build the website from the committed notebooks and results
	@$(BIN)/jupyter-book build . --all -W --keep-going -n --quiet
	@echo "The book: _build/html/index.html (open it, or: make serve)"

.PHONY: pdf
pdf: book  ## print the whole book as _build/html/sparse-robust.pdf, with Chromium
	@$(BIN)/python -m sparse_robust pdf

$(SITE): | $(STAMP)
	@$(MAKE) --no-print-directory book

.PHONY: reproduce
reproduce: $(STAMP)  ## run every chapter here, compare with the paper and with the published numbers, build the site
	@$(BIN)/python -m sparse_robust reproduce --profile $(PROFILE) --device $(DEVICE) $(if $(ALL),--all)

.PHONY: test
test: export SPARSE_ROBUST_SITE := required
# two workers with threads of their own would only wait for each other
test: export OMP_NUM_THREADS := 1
test: $(STAMP)  ## everything that has to hold: lint, types, tests, every chapter run again, the site
	@echo "[1/4] ruff";  $(BIN)/ruff check . && $(BIN)/ruff format --check src tests
	@echo "[2/4] mypy";  $(BIN)/mypy
	@echo "[3/4] the site, warnings as errors";  rm -rf _build/html _build/.doctrees
	@$(BIN)/jupyter-book build . --all -W --keep-going -n --quiet
	@echo "[4/4] tests, and every chapter against its stored outputs"
	@$(BIN)/python -m pytest --hypothesis-profile=ci -n 2 --dist loadfile --nbval --nbval-current-env tests $(CHAPTERS)
	@echo "make test: all passed (the site that was checked: _build/html/index.html)"

.PHONY: serve
serve: $(SITE)  ## serve the site on localhost, building it first if there is none
	@echo "Serving _build/html at http://localhost:$(PORT)/ (Ctrl-C stops it)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

.PHONY: notebooks
notebooks: $(STAMP)  ## for maintainers: execute the chapters in place from published results (CHAPTERS=... for some)
	@$(BIN)/python -m sparse_robust notebooks $(CHAPTERS)
	@$(NORMALISE) $(CHAPTERS)
	@echo "Executed and normalised; look at: git diff book"

.PHONY: clean
clean:  ## remove the site and caches; results and .venv stay
	@rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find book src tests -name __pycache__ -prune -exec rm -rf {} +
	@find book -name .ipynb_checkpoints -prune -exec rm -rf {} +
	@echo "Clean. Results stay in book/results, the environment in .venv (rm -rf .venv to set up afresh)."
