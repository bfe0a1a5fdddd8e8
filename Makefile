# masthead: `make help` lists the verbs. Each installs what it needs and lacks; what is there is left alone.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ARGS ?=
# Root, by sudo only where it is needed. Byte code written by root could not be cleaned up by its owner.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo) env PYTHONDONTWRITEBYTECODE=1
PYTHON_IN_VENV := .venv/bin/python

.PHONY: help
help: ## Lists the verbs, a sentence each.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..." is handed on: make run ARGS="--output table", make test ARGS="-k redaction", make bench ARGS=--quick'

.PHONY: build
build: ## Builds the extension into .venv (release), with what that needs.
	@dev/packages run
	@dev/environment run

.PHONY: run
run: build ## Runs `masthead run` as root on this machine, until Ctrl-C.
	@$(ROOT) .venv/bin/masthead run $(ARGS)

.PHONY: doctor
doctor: build ## Says what this kernel allows and what is missing, with the remedy.
	@$(ROOT) .venv/bin/masthead doctor $(ARGS)

.PHONY: test-environment
test-environment:
	@dev/packages test
	@dev/environment test
	@dev/servers all

.PHONY: test
test: test-environment ## Runs every check: lint, the Rust tests, the Python tests, the kernel and the real servers.
	@dev/checks lint rust python $(ARGS)

.PHONY: test-sinks
test-sinks: test-environment ## Runs the tests of the sinks only, against real servers (ARGS="-m 'sinks and soak'": a million rows each).
	@$(ROOT) $(PYTHON_IN_VENV) -m pytest tests/sinks $(ARGS)

.PHONY: lint
lint: test-environment ## Runs the linters and the layout rules only, and changes nothing.
	@dev/checks lint $(ARGS)

.PHONY: format
format: test-environment ## Puts all sources into the house's form.
	@.venv/bin/ruff check --quiet --fix-only .
	@.venv/bin/ruff format .
	@cargo fmt --manifest-path native/Cargo.toml --all
	@cargo fmt --manifest-path fuzz/Cargo.toml
	@clang-format -i bpf/*.[ch]

.PHONY: demo
demo: build ## Shows `masthead tail` on a small gateway with mixed traffic, for 30 seconds or until Ctrl-C.
	@dev/packages nginx-light
	@$(ROOT) $(PYTHON_IN_VENV) -m dev.demo $(ARGS)

.PHONY: demo-store
demo-store: build ## Fills .demo/store with five weeks of made-up calls, to ask and to forecast (ARGS="--weeks 8").
	@dev/environment test
	@$(PYTHON_IN_VENV) -m dev.demo.history .demo/store $(ARGS)

.PHONY: bench
bench: test-environment ## Measures masthead beside nginx's own log, tcpdump, tshark and httpry, against the budgets.
	@$(ROOT) $(PYTHON_IN_VENV) -m bench $(ARGS)

.PHONY: bench-sinks
bench-sinks: test-environment ## Measures what each sink costs, against receivers that discard.
	@$(ROOT) $(PYTHON_IN_VENV) -m bench.sending $(ARGS)

.PHONY: soak
soak: test-environment ## Runs masthead under steady load (ten minutes), then hundreds of kills, months of alerts, a million rows for each sink (hours).
	@$(ROOT) $(PYTHON_IN_VENV) -m bench.soak $(ARGS)
	@$(ROOT) $(PYTHON_IN_VENV) -m pytest -m soak -s tests/e2e tests/unit tests/sinks

.PHONY: fuzz
fuzz: ## Feeds the parser mutated input for a minute, and stops at the first broken promise.
	@dev/packages run
	@fuzz/run $(ARGS)

.PHONY: docs
docs: test-environment ## Builds the documentation into site/; a broken link is an error.
	@.venv/bin/mkdocs build --strict --quiet $(ARGS)
	@echo 'site/index.html'

.PHONY: clean
clean: ## Removes everything that the other verbs made, .venv too; installed Debian packages stay.
	rm -rf .venv native/target fuzz/target .servers dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -f src/masthead/_native*.so
	find src tests bench dev -name __pycache__ -type d -prune -exec rm -rf {} +
