# Everything goes through make; `make help` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(wildcard proto/imageedit/v1/*.proto)

.DEFAULT_GOAL := help
.PHONY: help run demo test examples check fuzz mutants soak bench gen fresh lint format types contracts breaking golden pictures screenshots samples clean

# Tests at once, and what else to tell pytest: `make test PYTEST="-k masks -x"`.
WORKERS ?= auto
PYTEST ?=

# What `make fuzz` fuzzes (all targets where none is named), and for how many seconds each.
FUZZ ?=
FUZZ_SECONDS ?= 60

# Seconds of load of `make soak`.
export SOAK_SECONDS ?= 1800

# What `make breaking` compares the protos with.
BASE ?= main

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

# Two stages: what running needs, and what developing needs on top of it.
$(VENV)/.run: deploy/requirements.txt pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "installing what the gateway needs into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run deploy/requirements-dev.txt
	@echo "installing the development tools into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/requirements-dev.txt
	@touch $@

# $(1): where the generated code goes.
define generate
	$(BIN)/python -m grpc_tools.protoc -I proto --plugin=$(BIN)/protoc-gen-mypy --plugin=$(BIN)/protoc-gen-mypy_grpc \
		--python_out=$(1) --mypy_out=$(1) $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -I proto --plugin=$(BIN)/protoc-gen-mypy_grpc \
		--grpc_python_out=$(1) --mypy_grpc_out=$(1) proto/imageedit/v1/image_edit.proto
endef

gen: $(VENV)/.dev ## Write generated/ from proto/
	@rm -rf generated/imageedit
	@mkdir -p generated
	$(call generate,generated)

run: $(VENV)/.run ## Start everything and print an address, a key and a curl command
	@exec $(BIN)/imageedit serve --trial-key

demo: $(VENV)/.run ## Edit a sample picture under a mask, write edited.png, and stop
	@exec $(BIN)/imageedit demo --output edited.png

# Where it may keep them, pytest rewrites a module's assertions once, and not at every run.
test: $(VENV)/.dev ## Run all tests
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

check: export IMAGEEDIT_TEST_WHOLE := 1
check: fresh lint types contracts breaking test ## Run everything that CI runs
	$(MAKE) --no-print-directory examples
	$(MAKE) --no-print-directory mutants
	$(MAKE) --no-print-directory fuzz FUZZ="multipart picture"

# Apart from the tests: compiling for Go takes a minute.
examples: $(VENV)/.dev ## Run the examples of docs/examples, those in Go too
	IMAGEEDIT_TEST_EXAMPLES=1 $(BIN)/python -m pytest -q tests/test_examples.py

fuzz: $(VENV)/.dev ## Search for bytes that do what nothing may do
	PYTHONPATH=generated $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

mutants: $(VENV)/.dev ## Take out each safeguard, and see a test fail for it
	$(BIN)/python -m tests.mutants

soak: $(VENV)/.dev ## Load the gateway for half an hour, with faults, and see what it keeps
	@PYTHONPATH=generated exec $(BIN)/python -m bench.soak

bench: $(VENV)/.dev 
	@PYTHONPATH=generated exec $(BIN)/python -m bench.peers --write

fresh: $(VENV)/.dev ## Prove that generated/ is what proto/ gives
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(MAKE) --no-print-directory generated-aside SCRATCH=$$scratch \
		&& find generated -name __pycache__ -prune -o -type d -empty -print | xargs -r rmdir \
		&& diff -r --exclude=__pycache__ generated "$$scratch" && echo "generated/ is fresh"

.PHONY: generated-aside
generated-aside:
	@$(call generate,$(SCRATCH)) 2>/dev/null

lint: $(VENV)/.dev ## Check style of Python and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/buf lint proto
	$(BIN)/buf format --diff --exit-code proto

format: $(VENV)/.dev ## Put Python and protos in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write proto

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

contracts: $(VENV)/.dev ## Check who may import whom
	$(BIN)/lint-imports

breaking: $(VENV)/.dev ## Check that the protos break no caller of BASE (main)
	@if git rev-parse --verify --quiet $(BASE):proto >/dev/null; \
		then $(BIN)/buf breaking proto --against '.git#ref=$(BASE),subdir=proto' && echo "no breaking change since $(BASE)"; \
		else echo "$(BASE) has no protos to compare with"; fi

golden: $(VENV)/.dev ## Rewrite what the providers' golden cases expect; the diff is the review
	$(BIN)/python -m tests.rewrite_golden

pictures: demo $(VENV)/.dev ## Render the pictures of README and docs from edits
	$(BIN)/python -m sandbox.triptych docs/samples/landscape.png docs/samples/landscape-mask.png edited.png docs/pictures/before-mask-after.png
	$(BIN)/python -m tests.mask_pictures docs/pictures

screenshots: $(VENV)/.dev ## Look at the pages in a browser and write what is seen into docs/pictures
	@PYTHONPATH=generated $(BIN)/python -m tests.screenshots docs/pictures

samples: $(VENV)/.run ## Render the sample pictures into docs/samples and the playground
	$(BIN)/python -m sandbox.samples docs/samples
	$(BIN)/python -m sandbox.samples gateway_http/playground/samples jpg

clean: ## Remove what make made, but not var/ (the database)
	rm -rf $(VENV) .bench .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .fuzz edited.png
