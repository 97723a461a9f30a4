# make train | test | thorough | lint | bench | phenomena | docs | tensorboard; ARGS="..." is passed on. Installs once, by itself.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: train test thorough lint format bench phenomena docs tensorboard clean
.DEFAULT_GOAL := train

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

train: $(INSTALLED)
	$(BIN)/python train.py $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile -m "not thorough" $(ARGS)

# What the suite also tests in small, at full size.
thorough: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile -m thorough $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

# Every classical phenomenon over 5 seeds, and its page in docs/phenomena.
phenomena: $(INSTALLED)
	$(BIN)/python -m gaplab.phenomena $(ARGS)

# What the commands on the pages print now; make docs ARGS=--check only says which lines are stale.
docs: $(INSTALLED)
	$(BIN)/python docs/rerun.py $(ARGS)

tensorboard: $(INSTALLED)
	$(BIN)/tensorboard --logdir logs --host 127.0.0.1 --samples_per_plugin images=1000,scalars=100000 $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
