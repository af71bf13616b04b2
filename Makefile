# Each target does all of its set-up in a virtual environment inside the checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BEAM_VENV := .venv-beam
COMPILE_VENV ?= .venv-compile
COMPILE_BIN = $(COMPILE_VENV)/bin
DEMO := demo

.PHONY: demo test test-readme test-slow test-beam lint clean
.PHONY: compile-env test-compile test-compile-quick test-compile-slow

demo: $(VENV)/.ready
	$(BIN)/python main.py --flagfile=experiments/quickstart.flags --workdir=$(DEMO)/workdir
	$(BIN)/python main.py --mode=evaluate --workdir=$(DEMO)/workdir
	$(BIN)/python main.py --mode=export --num_per_class=4 --output=$(DEMO)/pictures
	$(BIN)/python main.py --mode=predict --workdir=$(DEMO)/workdir \
		--output=$(DEMO)/scores.csv $(DEMO)/pictures
	$(BIN)/python main.py --mode=extract --features=traces --workdir=$(DEMO)/workdir \
		--output=$(DEMO)/traces $(DEMO)/pictures
	@echo
	@echo "Scores:  $(DEMO)/scores.csv"
	@echo "Traces:  $(DEMO)/traces/traces_000.png"
	@echo "Report:  $(DEMO)/workdir/evaluations/synthetic_faces_test/report.html"
	@echo "This network has seen only simulated pictures; README.md tells how to train"
	@echo "on your own."

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 -m "not slow and not readme and not compiler" --doctest-modules fakedet_jax tests

test-readme: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 -m readme tests/test_readme.py

test-slow: $(VENV)/.ready-test
	$(BIN)/python -m pytest -m "slow and not compiler" tests

# Apache Beam asks for older versions of other packages, so it has its own environment.
test-beam: $(BEAM_VENV)/.ready
	$(BEAM_VENV)/bin/python -m pytest tests/prepare/test_beam.py

# The compilers for TPUs and NVIDIA GPUs; neither devices nor drivers are needed.
compile-env: $(COMPILE_VENV)/.ready

test-compile: $(COMPILE_VENV)/.ready
	$(COMPILE_BIN)/python -m pytest -n 2 -m "compiler and not slow" tests/compiler

test-compile-quick: $(COMPILE_VENV)/.ready
	$(COMPILE_BIN)/python -m pytest -n 2 -m compiler_quick tests/compiler

test-compile-slow: $(COMPILE_VENV)/.ready
	$(COMPILE_BIN)/python -m pytest -m "compiler and slow" tests/compiler

lint: $(VENV)/.ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(BEAM_VENV) $(COMPILE_VENV) $(DEMO)

$(VENV)/bin/python $(BEAM_VENV)/bin/python $(COMPILE_BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.ready-test: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.ready

$(BEAM_VENV)/.ready: setup.cfg pyproject.toml constraints-beam.txt | $(BEAM_VENV)/bin/python
	$(BEAM_VENV)/bin/python -m pip install --quiet --constraint constraints-beam.txt \
		--editable '.[test,beam]'
	touch $@

$(COMPILE_VENV)/.ready: setup.cfg pyproject.toml constraints.txt constraints-compile.txt \
		| $(COMPILE_BIN)/python
	$(COMPILE_BIN)/python -m pip install --quiet --constraint constraints.txt \
		--constraint constraints-compile.txt --editable '.[test,compile]'
	touch $@
