# Everything goes through make; `make help` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(wildcard proto/imageedit/v1/*.proto)

.DEFAULT_GOAL := help
.PHONY: help run demo test check gen fresh lint format types breaking golden samples clean

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
