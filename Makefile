# `make run` and `make test` set up everything they need; nothing has to be installed before them
# but Python 3.11 or newer.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test slow long lowest speed lint clean

run: $(VENV)/.installed
	$(BIN)/bench run --suite digits

# Two workers on one thread each: small networks gain nothing from sharing out their products.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --benchmark-disable $(TESTS)

slow: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 --benchmark-disable

# What takes a minute and more each: the hardest defences, decisions on all images, simulations.
long: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long -n 2 --benchmark-disable

# With the lowest version of every requirement, torch among them: a download of gigabytes.
lowest: $(VENV)/.installed
	$(BIN)/python -m pytest -m lowest

speed: $(VENV)/.installed
	$(BIN)/python -m pytest -m speed tests/speed --benchmark-disable-gc

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p bench

# torchattacks is installed without its requirements, which would hold back requests, and adv-lib without visdom,
# which fails to install; pyproject.toml has all else that they import.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps torchattacks adv-lib
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
