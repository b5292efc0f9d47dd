# make demo   set up, train on the embedded data set, write samples, open the page (PAGE=0: do not open it)
# make test   set up, run every check
# make check  style, types, import contracts and the quick tests; make fix mends style; make bench measures speed
# make docs   the documentation in site/; make tour runs its notebook and keeps the outputs
# make test-faults  600 faults at file operations and network calls of the commands, in 16 minutes
# make audit  what is known of the packages that are installed: pip-audit asks a service on the network
# make test-gpu  the tests that need a GPU, and no others
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
PAGE ?= 1
# glibc's default allocator returns large blocks to the system at every step, which costs training a third of its speed.
ALLOCATOR := MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=200000000000

.PHONY: demo test test-faults test-gpu check style quick everything fix bench docs audit tour browser clean
.DELETE_ON_ERROR:

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) ".[train,app]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) ".[dev]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/python -m train.prepare --source shapes --resolution 32 --limit 10000 --out $(DEMO)/shapes-32
	$(ALLOCATOR) $(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
		-m train --preset shapes_32 --run-dir $(DEMO)/run --set data.path=$(DEMO)/shapes-32
	@test "$(PAGE)" = 0 || $(BIN)/python -m app --model $(DEMO)/run --model bundled

test: $(VENV)/installed-dev browser  # types are checked on one core, beside the tests
	$(MAKE) --jobs 2 style everything

test-gpu: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m gpu

test-faults: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults

check: $(VENV)/installed-dev
	$(MAKE) --jobs 2 style quick

style: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

quick: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2

everything: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not gpu" --numprocesses 3 --dist worksteal  # some wait for others' processes

fix: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-dev
	$(ALLOCATOR) $(BIN)/python -m benchmarks

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

audit: $(VENV)/installed-dev
	$(BIN)/pip-audit --skip-editable

tour: $(VENV)/installed-dev
	$(BIN)/python -m tests.notebook

# The browser tests need Chromium; where apt can install it, it is installed, elsewhere they are skipped by name.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		echo "no Chromium found: the browser tests will be skipped"

clean:
	rm -rf $(VENV) $(DEMO) build dist site *.egg-info
