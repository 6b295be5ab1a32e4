# make demo: install into .venv and run the main job.  make test: the same, and pass the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src theory -type f ! -path '*__pycache__*') \
	pyproject.toml meson.build meson.options README.md LICENSE
# Compiled objects are kept here, so that a second installation compiles only what changed.
BUILD := --config-settings=build-dir=build/$(shell $(PYTHON) -c 'import sys, platform; \
	print(sys.implementation.cache_tag + "-" + platform.machine())')

.PHONY: demo test verify mutants lint docs docs-check bench bench-peers bench-check bench-details \
	bench-instructions clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python $(SOURCES)
	@echo "Installing varprop and what it needs into $(VENV) (compiles the engines: a minute or two)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD) .
	@touch $@

$(VENV)/testable: $(VENV)/installed
	@echo "Installing what the tests need (PyTorch among it: some minutes the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD) ".[test]"
	@touch $@

$(VENV)/lint: $(VENV)/testable
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD) ".[lint]"
	@touch $@

$(VENV)/documentable: $(VENV)/installed
	@echo "Installing what the documentation needs (PyTorch among it)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD) ".[docs]"
	@touch $@

demo: $(VENV)/installed
	@mkdir -p demo
	$(BIN)/varprop simulate --depth 200 --width 1000 --act relu --scheme he --trials 1000 \
		--compare --plot demo/standard-input.png --save demo/standard-input.varprop
	$(BIN)/varprop simulate --depth 200 --width 1000 --act relu --scheme he --trials 1000 \
		--seed 1 --compare --plot demo/real-input.png --input data/wine-row.csv
	$(BIN)/varprop derive relu -o demo/relu.md
	@echo
	@echo "Done. Written to $(CURDIR)/demo:"
	@echo "  standard-input.png      the signal by depth, for an input of mean square 1"
	@echo "  real-input.png          the same for a row of real data (data/README.md)"
	@echo "  standard-input.varprop  the numbers; varprop.load reads them"
	@echo "  relu.md                 where ReLU's factor of 2 comes from, derived step by step"

test: $(VENV)/testable
	$(BIN)/python -m pytest -n auto --dist worksteal

# What takes too long for every change: a sweep is killed 20 times, Lyapunov exponents to 4 digits,
# long examples, every page seen, and the campaigns of verify/ in their long forms: days
# (CAMPAIGNS="memcheck files" runs some).
$(VENV)/verifiable: $(VENV)/testable
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD) ".[verify]"
	@touch $@

verify: $(VENV)/verifiable test docs-check
	VARPROP_KILLS=20 $(BIN)/python -m pytest -n 0 tests/test_sweep_store.py
	VARPROP_EXPONENTS=9000 $(BIN)/python -m pytest -n 0 tests/test_lyapunov.py
	VARPROP_LONG=1 $(BIN)/python -m pytest -n auto --dist worksteal $$(grep -l "^from effort\|^import effort" tests/test_*.py)
	$(BIN)/python -m verify $(CAMPAIGNS)

# Plants every fault of verify/mutants in a scratch copy: the ordinary tests must see each.
mutants: $(VENV)/verifiable
	$(BIN)/python -m verify.mutants

# The site, in docs/_build/html; a warning is an error.
docs: $(VENV)/documentable
	$(BIN)/python -m sphinx -b html -j auto -W --keep-going -q docs docs/_build/html

# Every page of it in headless Chromium: wide, narrow and dark.
docs-check: docs $(VENV)/testable
	$(BIN)/python -m pytest -q docs/_check

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint src
	cd $(VENV) && bin/python -m mypy --config-file ../pyproject.toml --python-executable bin/python

$(VENV)/measuring: $(VENV)/installed
	@echo "Installing what the benchmarks need (PyTorch among it)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(BUILD) ".[bench]"
	@touch $@

# Peers that need packages of their own get an environment each, from benchmarks/environments.
PEERS := $(patsubst benchmarks/environments/%.txt,.peers/%/installed,\
	$(wildcard benchmarks/environments/*.txt))

.peers/%/installed: benchmarks/environments/%.txt
	$(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench-peers: $(PEERS)

# All contenders in turns; writes benchmarks/results and docs/fast-and-right.md. Peers that have
# no environment are left out: `make bench-peers` makes them. QUICK=1 takes under three minutes.
bench: $(VENV)/measuring
	$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick)

# Fails if a ratio to NumPy fell by more than 15 % beyond its spread.
bench-check: $(VENV)/measuring
	$(BIN)/python benchmarks/run.py check

# The scripts of benchmarks/ that measure one part each in detail (ten minutes and more).
bench-details: $(VENV)/measuring
	$(BIN)/python benchmarks/run.py scripts

# Needs valgrind.
bench-instructions: $(VENV)/measuring
	$(BIN)/python benchmarks/instructions.py

clean:
	rm -rf $(VENV) .peers build demo docs/_build docs/gallery docs/reference/api \
		docs/reference/commands.md docs/explanation/derivations
