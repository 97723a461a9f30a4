# make train | test | extras | thorough | lint | docs | bench | gpu | phenomena | figures | pictures | tensorboard | upgrade; ARGS="..." is passed on. Installation happens once, by itself.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
EXTRAS := $(VENV)-extras
EXTRAS_TESTS := tests/builders tests/data/test_tables.py tests/metrics/generative tests/system/test_optuna.py
EVERYTHING := ".[dev,docs,mlflow,optuna,parquet,wandb,witnesses]"

.PHONY: train test extras thorough lint format docs bench gpu phenomena figures pictures tensorboard upgrade clean
.DEFAULT_GOAL := train

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@

$(EXTRAS)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python -m pip install --quiet --editable $(EVERYTHING) --constraint constraints.txt
	touch $@

train: $(INSTALLED)
	$(BIN)/python train.py $(ARGS)

# Whatever the shell says, modules are compiled once: tests start many commands.
test thorough: export PYTHONDONTWRITEBYTECODE =
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

test: $(INSTALLED)
	$(PYTEST) -m "not thorough" $(ARGS)

# The tests that skip where Optuna, MLflow, W&B, PyArrow, POT or prdc are missing, in an environment that has them.
extras: $(EXTRAS)/.installed
	$(EXTRAS)/bin/python -c "import mlflow, optuna, ot, prdc, pyarrow, wandb"
	$(EXTRAS)/bin/python -m pytest -m "not thorough" $(EXTRAS_TESTS) $(ARGS)

# What the suite also tests in small, at full size.
thorough: $(INSTALLED)
	$(PYTEST) -m thorough $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site in site/; a link that leads nowhere is an error.
docs: $(EXTRAS)/.installed
	NO_MKDOCS_2_WARNING=1 $(EXTRAS)/bin/mkdocs build --quiet --strict $(ARGS)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

# Tests and benchmarks on a GPU, as tables for docs/sweeps.md; ARGS="--device cpu --small" shows the steps without one.
gpu: $(INSTALLED)
	$(BIN)/python -m benchmarks gpu $(ARGS)

# Every classical phenomenon over 5 seeds, and its page in docs/phenomena.
phenomena: $(INSTALLED)
	$(BIN)/python -m gaplab.phenomena $(ARGS)

# What the commands on the pages print now; ARGS=--check only says which lines are stale.
figures: $(INSTALLED)
	$(BIN)/python docs/rerun.py $(ARGS)

# The pictures of README and docs/tensorboard.md; needs Chromium.
pictures: $(INSTALLED)
	$(BIN)/python docs/pictures.py

tensorboard: $(INSTALLED)
	$(BIN)/tensorboard --logdir logs --host 127.0.0.1 --samples_per_plugin images=1000,scalars=100000 $(ARGS)

# The newest versions that pyproject.toml admits become the tested set; run the suite before you commit it.
# A build of torch (+cpu) and its GPU libraries belong to a machine. PYTHON=python3.11, the oldest; ARGS="torch==2.14.1" asks for one.
upgrade:
	rm -rf $(VENV)-upgrade
	$(PYTHON) -m venv $(VENV)-upgrade
	$(VENV)-upgrade/bin/python -m pip install --quiet $(ARGS) --editable $(EVERYTHING)
	sed -n 1p constraints.txt > $(VENV)-upgrade/lock
	$(VENV)-upgrade/bin/python -m pip freeze --exclude-editable \
		| grep -vE "^(nvidia-|cuda-|triton=)" | sed "s/+[a-z0-9.]*$$//" >> $(VENV)-upgrade/lock
	mv $(VENV)-upgrade/lock constraints.txt
	rm -rf $(VENV)-upgrade

clean:
	rm -rf $(VENV) $(EXTRAS) site .pytest_cache .mypy_cache .ruff_cache
