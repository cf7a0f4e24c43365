# Builds Portcullis, runs the demo and the tests. Works on a fresh Debian 12 with Rust (13: docs/platforms.md), as root or with sudo.

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
ifneq ($(SUDO),)
# The tests make namespaces: as an ordinary user, the test programs are started by sudo.
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER = sudo -E
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER = sudo -E
endif

# The set-up comes before the build that needs its compiler.
.NOTPARALLEL:
.PHONY: all build aarch64 modules packages repository static earlier machine tools setup platforms demo pictures test coverage torture bench figures lint

all: build

# The library and the command in target/release/.
build:
	cargo build --release --workspace --locked

# The library for the other processor, in target/aarch64/.
aarch64: setup-aarch64
	scripts/aarch64

# The modules for Apache and nginx in target/modules/.
modules: setup-modules
	scripts/modules

# The packages in target/packages/.
packages: setup-packages build modules
	scripts/packages

# A signed apt repository of the packages in target/repository/: make repository KEY=NAME, with a secret key of gpg.
repository: setup-repository
	scripts/repository "$(KEY)"

# The library, and the command without a loader, for containers without glibc, in target/static/.
static: build
	scripts/static

# The library of the version before this one, in target/earlier/, for the test of upgrades.
earlier: setup-build
	scripts/earlier

# The machine that the tests boot, in target/machine/.
machine: setup-machine
	$(SUDO) scripts/machine

# What the tests use of other languages' packages: in target/tools/python/ for examples/siem/ and examples/fleet/, and axe-core in
# target/tools/axe/ for the report.
tools: setup-tools
	scripts/tools

# What the tests need from the distribution; setup-PART is what that part needs.
setup: setup-test
setup-%:
	$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" scripts/setup $*

demo: setup-demo build
	$(SUDO) scripts/demo

# A fresh root of each release, README's commands and the tests in it, and the table of docs/platforms.md. Takes hours the first time.
platforms: setup-machine
	$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" scripts/platforms

# The pictures of the documentation, from a run of the demo.
pictures: setup build
	$(SUDO) scripts/pictures

test: setup build modules packages machine tools
	scripts/test

# How many lines of crates/ their own tests run; the lines are in target/coverage/html/.
coverage: setup-coverage
	scripts/coverage

# Reliability tests: faults, load, fuzzers, other programs' test suites. Takes an hour and a half.
torture: setup-torture build aarch64 static earlier modules packages machine
	$(SUDO) scripts/zoo
	$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" scripts/torture long

# Measurements of calls, processes, servers and a flood, beside other tools.
bench: setup setup-bench build
	$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" cargo bench --locked --bench guard | tee target/figures.md

# The same, and puts the tables into docs/performance.md.
figures: bench
	python3 scripts/figures.py < target/figures.md

# Format, lints, dependency policy, and the wording of the documentation.
lint:
	scripts/prose
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items
	scripts/policy
