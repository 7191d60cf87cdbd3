# heapwarden: `make` builds the library and the tool, `make test` tests them,
# `make demo` shows what they find. The only place with linker arguments.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
TARGET ?= $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
OUT := $(TARGET)/release
CARGO ?= cargo

.DEFAULT_GOAL := all
.PHONY: all library tool test demo check header install setup soak soak-servers clean

all: library tool

# One build gives both: the shared library, linked so that it starts first,
# ends last and cannot be opened late; and the raw archive.
library:
	$(CARGO) rustc --quiet --release --lib --features abi --crate-type cdylib,staticlib -- \
	  -Clink-arg=-Wl,-soname,libheapwarden.so.1 \
	  -Clink-arg=-Wl,-z,initfirst -Clink-arg=-Wl,-z,nodlopen -Clink-arg=-Wl,-z,now -Cstrip=debuginfo
	sh scripts/archive.sh $(OUT)

tool:
	$(CARGO) build --quiet --release --package heapwarden-tool

# What tests and programs under test need from the distribution.
setup:
	sh scripts/setup.sh

# Shows each phenomenon on a small program, with its report.
demo: all
	sh scripts/demo.sh $(OUT)

# Tests that count what they try add a line to this file (docs/proof.md).
PROOF_LOG := $(abspath $(TARGET))/proof.log
test interleave embedded-model: export HEAPWARDEN_PROOF_LOG := $(PROOF_LOG)

# `make test` tries the same generated programs each time, so that what fails is
# the change that is tested; `make soak-model` tries new ones. Another set:
# make test PROPTEST_RNG_SEED=7
PROPTEST_RNG_SEED ?= 1
test embedded-model: export PROPTEST_RNG_SEED := $(PROPTEST_RNG_SEED)

.PHONY: proof-begin
proof-begin:
	@mkdir -p "$(TARGET)" && rm -f "$(PROOF_LOG)"

test: proof-begin setup all
	$(CARGO) test --quiet --workspace --no-fail-fast; \
	  status=$$?; scripts/proof.sh "$(PROOF_LOG)"; exit $$status

# What takes long: servers checked a hundred times under load.
soak-servers: setup all
	$(CARGO) test --quiet --test programs -- --ignored soak --test-threads 1

# The model against generated programs nobody has tried, ROUNDS times ten times
# as many as `make test`; what fails names the seed that repeats it.
ROUNDS ?= 3
.PHONY: soak-model
soak-model: setup all
	@for round in $$(seq $(ROUNDS)); do \
	  PROPTEST_RNG_SEED=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); \
	  export PROPTEST_RNG_SEED HEAPWARDEN_PROOF_SCALE=10; \
	  echo "round $$round: PROPTEST_RNG_SEED=$$PROPTEST_RNG_SEED"; \
	  $(CARGO) test --quiet --test model --test harness || exit; \
	  $(CARGO) test --quiet --features arena-global --test arena_model || exit; \
	done

# Unit tests, the arena's model, the corpus and the heap's model under AddressSanitizer
# and ThreadSanitizer (docs/campaigns.md).
.PHONY: sanitize
sanitize:
	scripts/sanitize.sh

# Lints: format, clippy, documentation.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets
	$(CARGO) clippy --lib --features abi
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps --workspace --features arena-global,harness

# Writes include/heapwarden.h anew; a test keeps it in step.
header:
	HEAPWARDEN_WRITE_HEADER=1 $(CARGO) test --quiet --test header

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INSTALL ?= install
install: all
	sh scripts/install.sh "$(OUT)" "$(DESTDIR)" "$(PREFIX)" "$(LIBDIR)" "$(VERSION)"

# A Debian package of what `make` builds, below $(OUT).
.PHONY: deb
deb: all
	sh scripts/deb.sh "$(OUT)" "$(VERSION)" "$(OUT)"

clean:
	$(CARGO) clean

# Benchmarks: BENCH="--quick", "--set loops", "--only jq,redis",
# "--allocators heapwarden,mi3", "--markdown FILE", "--instructions", "--help".
BENCH ?=
bench_runner = cargo run --quiet --package heapwarden-bench --

.PHONY: bench bench-peers bench-programs
bench: library
	tests/install-programs.sh
	$(bench_runner) $(BENCH)

# Fetches and builds the other allocators (target/peers), and runs nothing.
bench-peers:
	$(bench_runner) --peers

bench-programs: library
	tests/install-programs.sh
	$(bench_runner) --set programs $(BENCH)

# The arena for devices: static libraries for three bare-metal targets, and the
# firmware tests under QEMU (docs/embedded.md).
.PHONY: embedded embedded-test
embedded_targets = thumbv7em-none-eabihf thumbv6m-none-eabi riscv32imac-unknown-none-elf
embedded:
	tests/install-embedded.sh
	for target in $(embedded_targets); do embedded/build.sh $$target owner-guard || exit 1; done

embedded-test: embedded-model
	$(CARGO) test --test embedded --test header

# What the workspace's own `cargo test` leaves out: the arena on this machine.
.PHONY: embedded-model
test: embedded-model
embedded-model:
	tests/install-embedded.sh
	$(CARGO) test --quiet --features arena-global --lib arena::
	$(CARGO) test --quiet --features arena-global --test embedded_global --test arena_model

# The same with words of 32 bits (i686, 30 s); says so where the target is not there.
.PHONY: embedded-32
test embedded-test: embedded-32
embedded-32: export HEAPWARDEN_PROOF_LOG := $(PROOF_LOG)
embedded-32: export PROPTEST_RNG_SEED := $(PROPTEST_RNG_SEED)
embedded-32:
	tests/install-embedded.sh
	scripts/word32.sh

# The library's own code under model checkers: loom tries every order of a few
# operations, shuttle many random orders of long ones (docs/proof.md).
# HEAPWARDEN_ORDERS=10 tries ten times as many random ones.
.PHONY: interleave
test: interleave
interleave:
	$(CARGO) test --quiet --features interleave --lib orders:: -- --nocapture --test-threads=1

# Deliberate faults put into a copy of the library one by one: each must be
# caught by a test (scripts/mutations.txt; the result is docs/mutations.md).
# Takes about an hour. MUTATE="--only guard_off_by_one" tries one.
.PHONY: mutate
MUTATE ?= --markdown docs/mutations.md
mutate:
	python3 scripts/mutate.py $(MUTATE)

# Coverage-guided fuzzing: FUZZ_SECONDS for each target (docs/proof.md).
.PHONY: fuzz
FUZZ_SECONDS ?= 60
fuzz:
	scripts/fuzz.sh $(FUZZ_SECONDS)

# The long run: SECONDS of everything at once, under the built library.
SECONDS ?= 60
SEED ?=
soak: library
	scripts/soak.sh "$(abspath $(OUT))" $(SECONDS) $(SEED)
