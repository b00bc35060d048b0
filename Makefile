# What a newcomer types. On Debian or Ubuntu with git, make, a C compiler and Rust.

CARGO := cargo
LOCKED := --locked --workspace
SOAK_ROUNDS ?= 20
SOAK_HANDOVERS ?= 10000
SOAK_PARTITIONS ?= 100

.PHONY: help setup build test demo bench soak lint doc clean

help: ## show this list (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests need: Debian packages, when root
	@tests/setup.sh

build: ## build all binaries
	$(CARGO) build $(LOCKED) --bins

demo: build ## restart a fleet of five on this machine, under load; then deploy a release that cannot boot
	@"$${CARGO_TARGET_DIR:-target}/debug/demo"

test: setup lint build doc ## everything that a change must pass; .ci/run is this
	$(CARGO) test $(LOCKED)

lint: ## formatting and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --all-targets -- -D warnings

doc: ## the documentation of the code, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --no-deps --document-private-items

bench: setup ## the figures, each beside a baseline of the same run; FIGURES="wake idle" makes some of them
	$(CARGO) build $(LOCKED) --release --bins
	$(CARGO) bench --locked --package baton-tests --bench figures -- $(FIGURES)

soak: setup build ## the end-to-end tests again and again, SOAK_ROUNDS times, with SOAK_HANDOVERS beside the kernel's ledger, the controller killed at every write and at SOAK_PARTITIONS points
	@for round in $$(seq $(SOAK_ROUNDS)); do \
	    echo "round $$round of $(SOAK_ROUNDS)"; \
	    BATON_HANDOVERS=$(SOAK_HANDOVERS) BATON_WRITES=1 BATON_PARTITIONS=$(SOAK_PARTITIONS) BATON_SEED=$$(date +%s) \
	        $(CARGO) test --locked --quiet --package baton-tests || exit 1; \
	done

clean: ## remove what was built
	$(CARGO) clean
