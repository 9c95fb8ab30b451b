# What can be done here. Everything happens in a virtual environment of the project's own, .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   := demo
# Tests wait more than they work: more workers than cores.
WORKERS ?= 4

# What was installed counts only as long as it can be imported: not after the checkout was moved, or its Python removed.
STALE := $(shell $(CURDIR)/$(BIN)/python -I -c 'import shipper' 2>/dev/null || rm -f $(VENV)/installed $(VENV)/installed-test $(VENV)/installed-native)

# The compiled twin (docs/architecture.md), built where cargo is there; what cargo made is kept in the user's cache.
TWIN := $(wildcard native/src/*.rs) native/Cargo.toml native/Cargo.lock native/pyproject.toml
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/shipper/cargo

.PHONY: help demo test check bench bench-full native wheel fuzz-native clean

help:
	@echo "make demo    a day of logs, generated and converted to JSON lines, in ./$(DEMO)"
	@echo "make test    the tests"
	@echo "make check   ruff, mypy --strict, the rule of the rooms"
	@echo "make bench   speed, beside the log shippers that are here (bench/peers); rewrites the tables of docs/performance.md"
	@echo "make bench-full    the same with more of everything"
	@echo "make native  the compiled twin, which the others build too where they can; wheel: to take away, in ./dist"
	@echo "make fuzz-native   damaged lines through the twin and through Python, until they differ or five millions are done"
	@echo "make clean   removes what these made, the virtual environment too"

demo: $(VENV)/installed
	@$(native)
	@rm -rf $(DEMO)
	@echo && echo '$$ shipper generate --days 1 --seed 1 --out $(DEMO)'
	@$(BIN)/shipper generate --days 1 --seed 1 --out $(DEMO)
	@echo && echo '$$ shipper convert $(DEMO)/log --timezone UTC -o $(DEMO)/mail.jsonl'
	@$(BIN)/shipper convert $(DEMO)/log --timezone UTC -o $(DEMO)/mail.jsonl
	@$(call record,a delivery,smtp;250,$(DEMO)/log/mail.log_current)
	@$(call record,a rejection,Relaying not permitted,$(DEMO)/log/mail.log_current)
	@$(call record,a bad login,badlogin,$(DEMO)/log/imap)
	@echo && echo 'The logs are in $(DEMO)/log, their records in $(DEMO)/mail.jsonl, one JSON object (ECS) a line.'
	@echo 'Next: README.md, or $(BIN)/shipper --help'

# $(call record,what,text,file): the first line of a log with this text, and its record.
define record
echo && echo '$(1):' && grep -m 1 -- '$(2)' $(3) && \
  grep -m 1 -- '$(2)' $(3) | $(BIN)/shipper convert - --quiet --timezone UTC --profile native | $(BIN)/python -m json.tool
endef

test: $(VENV)/installed-test
	@$(native)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: $(VENV)/installed
	@$(native)
	@$(BIN)/python -m bench $(BENCH)

bench-full: $(VENV)/installed
	@$(native)
	@$(BIN)/python -m bench --full $(BENCH)

# Builds the twin where there is cargo, and says in one line what is in use. Without cargo, or when it cannot be built, all works without it.
define native
if command -v cargo >/dev/null; then $(MAKE) --no-print-directory $(VENV)/installed-native || echo "the compiled twin could not be built"; fi; \
$(BIN)/shipper --version
endef

native: $(VENV)/installed-native

$(VENV)/installed-native: $(VENV)/installed $(TWIN)
	@echo "building the compiled twin"
	@touch native/src/lib.rs # else cargo takes the library that another checkout left in the same cache for this one's
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps ./native
	@touch $@

wheel: $(VENV)/installed
	@MATURIN_PEP517_ARGS="--compatibility pypi" $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist . ./native
	@ls dist

fuzz-native: $(VENV)/installed-test native
	$(BIN)/python -m tests.native.fuzz $(FUZZ)

clean:
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment that is missing, half made or of another machine is made anew.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing shipper into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
