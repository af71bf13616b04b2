# `--dist worksteal` gives each process neighbouring tests, which share what they set up.
# Each target does all of its set-up in a virtual environment inside the checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RAY_VENV := .venv-ray
REVIEW_VENV := .venv-review
COMPILE_VENV ?= .venv-compile
COMPILE_BIN = $(COMPILE_VENV)/bin
DEMO := demo
RESULTS := results
PRINT_SITE = -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

# Tests start hundreds of processes, which read compiled modules faster.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo results test test-readme test-readme-quick test-slow test-fuzz test-ray test-ray-quick test-review lint clean
.PHONY: compile-env environments test-compile test-compile-quick test-compile-slow

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

# The first tables of experiments/RESULTS.md, with five seeds; an hour and a half on two
# cores, and resumable: make results PICTURES=DIR WEIGHTS=DIR
results: $(VENV)/.ready
	@test -n "$(PICTURES)" -a -n "$(WEIGHTS)" || \
		{ echo "make results PICTURES=DIR WEIGHTS=DIR: pictures by class, and the"; \
		echo "converted MobileFaceNet (README.md, Which detector)"; exit 2; }
	$(BIN)/python main.py --mode=study --data_dir=$(PICTURES) --weights=$(WEIGHTS) \
		--output=$(RESULTS)/fakespotter --seeds=0,1,2,3,4 \
		experiments/tables/results_fakespotter.json
	$(BIN)/python main.py --mode=study --data_dir=$(PICTURES) \
		--output=$(RESULTS)/amtennet --seeds=0,1,2,3,4 \
		experiments/tables/results_amtennet.json

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=30 \
		-m "not slow and not readme and not compiler" --doctest-modules fakedet_jax tests

test-readme: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -m readme tests/test_readme.py

test-readme-quick: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "readme and not slow" tests/test_readme.py

test-slow: $(VENV)/.ready-test
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=30 \
		-m "slow and not compiler and not readme" tests

test-fuzz: $(VENV)/.ready-test
	FAKEDET_FUZZ=100000 $(BIN)/python -m pytest tests/media/test_fuzz.py

# Ray is large and few need it, so it has its own environment.
test-ray: $(RAY_VENV)/.ready
	$(RAY_VENV)/bin/python -m pytest tests/bulk/test_ray_engine.py tests/prepare/test_ray_tasks.py

# Two workers, of which some are killed.
test-ray-quick: $(RAY_VENV)/.ready
	$(RAY_VENV)/bin/python -m pytest tests/bulk/test_ray_engine.py -k test_killed_workers

# The page of a review in Chromium, which must be installed.
test-review: $(REVIEW_VENV)/.ready
	$(REVIEW_VENV)/bin/python -m pytest tests/report/test_review_browser.py

# The compilers for TPUs and NVIDIA GPUs; neither devices nor drivers are needed.
compile-env: $(COMPILE_VENV)/.ready

test-compile: $(COMPILE_VENV)/.ready
	$(COMPILE_BIN)/python -m pytest -n 2 -m "compiler and not slow" tests/compiler

test-compile-quick: $(COMPILE_VENV)/.ready
	$(COMPILE_BIN)/python -m pytest -n 2 -m compiler_quick tests/compiler

test-compile-slow: $(COMPILE_VENV)/.ready
	$(COMPILE_BIN)/python -m pytest -m "compiler and slow" tests/compiler

# What `.ci/run` needs: installing keeps one core busy, so it runs beside the checks.
environments: $(RAY_VENV)/.ready $(COMPILE_VENV)/.ready

lint: $(VENV)/.ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(RAY_VENV) $(REVIEW_VENV) $(COMPILE_VENV) $(DEMO)

$(VENV)/bin/python $(RAY_VENV)/bin/python $(REVIEW_VENV)/bin/python $(COMPILE_BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.ready-test: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.ready

# These have only what the tests' environment lacks, and look there for all else.
define look_into_tests_environment
	echo "import site; site.addsitedir('$$($(BIN)/python $(PRINT_SITE))')" \
		> "$$($(1) $(PRINT_SITE))/base.pth"
endef

$(RAY_VENV)/.ready: $(VENV)/.ready-test constraints-ray.txt | $(RAY_VENV)/bin/python
	$(call look_into_tests_environment,$(RAY_VENV)/bin/python)
	$(RAY_VENV)/bin/python -m pip install --quiet --constraint constraints.txt \
		--requirement constraints-ray.txt
	touch $@

$(REVIEW_VENV)/.ready: $(VENV)/.ready-test | $(REVIEW_VENV)/bin/python
	$(call look_into_tests_environment,$(REVIEW_VENV)/bin/python)
	$(REVIEW_VENV)/bin/python -m pip install --quiet --constraint constraints.txt playwright
	touch $@

$(COMPILE_VENV)/.ready: $(VENV)/.ready-test constraints-compile.txt | $(COMPILE_BIN)/python
	$(call look_into_tests_environment,$(COMPILE_BIN)/python)
	$(COMPILE_BIN)/python -m pip install --quiet --no-deps \
		--requirement constraints-compile.txt
	touch $@
