# Two commands for a stranger: `make demo` and `make test`. Each sets up what it needs by itself.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export OMP_WAIT_POLICY ?= PASSIVE

INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.PHONY: demo test test-conport check lint types imports slow lowest pythons wheel docs bench clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) torch
	$(INSTALL) -e '.[demo]'
	touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt tests/guest_plugin/pyproject.toml $(wildcard tests/guest_plugin/src/siamrec_guest/*.py)
	$(INSTALL) torch
	$(INSTALL) -e '.[dev]'
	$(INSTALL) --no-deps ./tests/guest_plugin
	touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## the main job on simulated data: runs/demo/report.html
	$(BIN)/siamrec improve --out runs/demo

test: $(VENV)/.dev  ## the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# ConPort asks for a torch of its own, 6 GB of it; it takes ours through a path file instead.
$(VENV)/conport/.done: $(VENV)/.dev
	$(BIN)/python -m venv $(VENV)/conport
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $(VENV)/conport/lib/$$(ls $(VENV)/conport/lib)/site-packages/outer.pth
	$(VENV)/conport/bin/python -m pip install --disable-pip-version-check --quiet --no-deps context-portal-mcp
	$(VENV)/conport/bin/python -m pip install --disable-pip-version-check --quiet fastmcp alembic fastapi uvicorn filelock chromadb
	touch $@

test-conport: $(VENV)/conport/.done  ## the tests against a real ConPort server, installed beside
	SIAMREC_TEST_CONPORT=$(abspath $(VENV))/conport/bin/conport-mcp $(VENV)/conport/bin/python -m pytest -q -m conport tests/feedback

check: lint types imports test slow lowest pythons wheel docs  ## what CI runs

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

slow: $(VENV)/.dev  ## simulations, and real data where SIAMREC_DATA is set
	$(BIN)/python -m pytest -q -m 'slow or realdata' -n 2 --dist loadfile

lowest:  ## the rooms without torch, with the lowest versions that are declared
	VENV=$(VENV) .ci/light lowest

pythons:  ## the same rooms under other Pythons, where there are some
	VENV=$(VENV) .ci/light 3.12
	VENV=$(VENV) .ci/light 3.13

wheel: $(VENV)/.dev  ## the wheel, installed as a stranger would
	VENV=$(VENV) .ci/wheel

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -q -n -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.dev
	for script in benchmarks/*.py; do echo "== $$script"; OMP_NUM_THREADS=1 $(BIN)/python $$script || exit 1; done

clean:
	rm -rf docs/_build docs/gallery .mypy_cache .ruff_cache .pytest_cache build dist
