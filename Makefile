# Every target works from a clean clone; `cargo xtask --help` lists the finer steps.
.DEFAULT_GOAL := build
.PHONY: run test build bench

# Builds an optimised binary and serves a demo with the built-in sandbox provider.
run:
	cargo run --release --locked -- serve --demo --data-dir ./data --listen 127.0.0.1:8080

# Formatting, repository rules, lints, all tests on both databases, docs, end-to-end tests.
# Installs the Debian packages it misses (as root); the last line sums what passed.
test:
	cargo xtask ci

build:
	cargo build --release --locked

# Load against a mock provider: direct, through nginx, through the gateway. See bench/README.md, also for
# `bench/scale`: lists of 100,000.
bench:
	bench/run
