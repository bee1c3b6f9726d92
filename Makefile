# SPDX-License-Identifier: GPL-3.0-or-later
# Each target sets up what it needs and skips what is done. `make help` lists them.

SHELL := /bin/bash
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
FLOWGRAPH ?=
BENCHMARKS := bench packets link native radio_speed deepjscc vq_deepsc speech speech_to_text "hascom speed"

.DEFAULT_GOAL := help
.PHONY: help demo speech setup test test-all test-gpu grc bench cross-check lint fresh-check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a photograph through a semantic radio link and its rivals; writes out/demo
	@tools/setup.sh demo
	@.venv/bin/semcom demo --output out/demo

speech: ## what speech systems can use besides: AMR-WB, voices, Whisper, Moonshine, judges (500 MB)
	@tools/setup.sh speech

setup: ## everything: GNU Radio, Python packages, C++ kernels, test tools
	@tools/setup.sh full

test: setup ## the tests (ARGS="-k ldpc" chooses; SEMCOM_DATA=folder adds real data)
	$(PYTEST) $(ARGS)

test-all: setup ## the slow tests too
	$(PYTEST) -m "" $(ARGS)

test-gpu: setup ## codecs with networks on CUDA against the CPU, without GNU Radio; "skipped" where there is none
	$(PYTHON) tools/test_gpu.py $(ARGS)

grc: ## GNU Radio Companion with our blocks (FLOWGRAPH=examples/ncsc.grc)
	@tools/setup.sh demo
	@.venv/bin/semcom grc $(FLOWGRAPH)

bench: setup ## speed and memory against the limits we promise
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; set -- $$name; $(PYTHON) benchmarks/$$1.py $${2:-}; done

cross-check: setup ## the PHY against the public package sionna-no-rt, in an environment of its own
	@tools/cross_check.sh

lint: setup ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

fresh-check: ## make demo and make test in a bare Debian root (as root, with debootstrap)
	@tools/fresh_check.sh

clean: ## remove what set-up and runs made, .venv included
	rm -rf .venv build out .pytest_cache .mypy_cache .ruff_cache .hypothesis python/semcom/_kernels.so
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
