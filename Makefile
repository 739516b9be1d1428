# `make` lists the targets. Everything is built and run below target/. Only `make deps` and `make install-extension` write
# to directories of the system.

PG_MAJOR  ?= 15
PG_CONFIG ?= /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config
CARGO     ?= cargo

PGRX_VERSION := 0.18.1
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TOOLS ?= $(TARGET)/tools
OTHER_MAJORS ?= 17 18
VERSIONS_DIR ?= $(TARGET)/versions
PREFIX := $(TARGET)/pg
PRIVATE_PG_CONFIG := $(PREFIX)/pg_config
PYTHON := $(TARGET)/python
CHECKS := $(TOOLS)/checks
PGRX_TARGET ?= $(TARGET)/pgrx
PGRX_CONFIG := $(TARGET)/pgrx-home/config.toml
OIDC := $(TARGET)/oidc
TEST := AUDIT_TEST_PREFIX="$(PREFIX)" AUDIT_TEST_PYTHON="$(PYTHON)/bin/python" AUDIT_TEST_OIDC="$(OIDC)"
FUZZ_TARGETS := $(wildcard */fuzz/fuzz_targets/*.rs)
FEATURES := --no-default-features --features pg$(PG_MAJOR)
LINKS = "$(CHECKS)/bin/lychee" --offline --include-fragments=full --no-progress

# cargo-pgrx passes flags of its own, so it has a separate target directory. It writes nothing to the home directory.
PGRX := PATH="$(TOOLS)/bin:$$PATH" PGRX_HOME="$(TARGET)/pgrx-home" CARGO_TARGET_DIR="$(PGRX_TARGET)"
PRIVATE_PGRX := $(PGRX) PGRX_PG_CONFIG_PATH="$(PRIVATE_PG_CONFIG)"

.PHONY: help deps prefix python oidc recipes checks cargo-pgrx build extension install-extension \
	lint lint-format lint-clippy lint-doc lint-deny lint-sql lint-typos lint-links advisories \
	test test-assert test-faults test-thorough test-upgrades test-valgrind test-versions versions checked bench demo docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install missing Debian packages (lists them and asks before it uses sudo)
	@PG_MAJOR=$(PG_MAJOR) tests/scripts/deps.sh $(DEPS)

prefix: deps $(PGRX_CONFIG)
	@tests/scripts/prefix.sh "$(PG_CONFIG)" "$(PREFIX)"

python: deps
	@tests/scripts/python.sh "$(PYTHON)" tests/requirements.txt

oidc: deps
	@tests/scripts/node.sh "$(OIDC)" tests/oidc

recipes: deps
	@tests/recipes/install.sh "$(TARGET)/recipes"

checks: deps
	@tests/scripts/python.sh "$(CHECKS)" tests/checks.txt

# A variable names the PostgreSQL of each call. Without this file, cargo-pgrx would generate the bindings in each call.
$(PGRX_CONFIG):
	@mkdir -p "$(@D)"
	@echo "[configs]" > "$@"

cargo-pgrx:
	@PATH="$(TOOLS)/bin:$$PATH"; \
	if [ "$$($(CARGO) pgrx --version 2>/dev/null)" != "cargo-pgrx $(PGRX_VERSION)" ]; then \
		echo "installing cargo-pgrx $(PGRX_VERSION) in $(TOOLS) (a few minutes, once)"; \
		CARGO_TARGET_DIR="$(TOOLS)/build" \
			$(CARGO) install cargo-pgrx --version $(PGRX_VERSION) --locked --debug --root "$(TOOLS)"; \
		rm -rf "$(TOOLS)/build"; \
	fi

extension: prefix cargo-pgrx
	$(PRIVATE_PGRX) $(CARGO) pgrx install --release --package audit_log --pg-config "$(PRIVATE_PG_CONFIG)" $(FEATURES)

build: extension ## build everything, and install the extension into a private PostgreSQL in target/pg
	$(CARGO) build --release --package audit_sidecar

install-extension: deps cargo-pgrx $(PGRX_CONFIG) ## install the extension into the PostgreSQL of PG_CONFIG=/path/to/pg_config
	$(PGRX) PGRX_PG_CONFIG_PATH="$(PG_CONFIG)" $(CARGO) pgrx install --release --package audit_log \
		--pg-config "$(PG_CONFIG)" $(FEATURES) $(shell test -w "$$($(PG_CONFIG) --pkglibdir)" || echo --sudo)

lint: lint-format lint-typos lint-links lint-sql lint-release lint-deny lint-clippy lint-doc ## run the checks of CI besides the tests; each lint-… also runs alone

lint-format:
	$(CARGO) fmt --all --check

lint-typos: checks
	"$(CHECKS)/bin/typos"

lint-links: checks
	$(LINKS) --extensions md .

lint-sql: checks
	"$(CHECKS)/bin/squawk" 'sql/**/*.sql' 'tests/**/*.sql'

lint-deny: checks
	"$(CHECKS)/bin/cargo-deny" --locked check licenses bans sources

lint-clippy: prefix
	$(CARGO) clippy --workspace --exclude audit_log --all-targets -- -D warnings
	$(PRIVATE_PGRX) $(CARGO) clippy --release --package audit_log $(FEATURES) -- -D warnings
	for fuzz in proof/fuzz sidecar/fuzz; do \
		$(CARGO) clippy --manifest-path $$fuzz/Cargo.toml --target-dir "$(TARGET)/fuzz" -- -D warnings || exit 1; \
	done

lint-doc: prefix
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --workspace --exclude audit_log
	RUSTDOCFLAGS="-D warnings" $(PRIVATE_PGRX) $(CARGO) doc --no-deps --release --package audit_log $(FEATURES)

advisories: checks ## check the dependencies with the RustSec database (not in CI, because it needs the network)
	"$(CHECKS)/bin/cargo-deny" --locked check advisories

test: extension python oidc recipes ## run all tests on throwaway clusters of the private PostgreSQL (T=text: only tests with this text in their name)
	$(CARGO) build --package audit_sidecar
	"$(PYTHON)/bin/python" proof/vectors/generate.py --check
	"$(PYTHON)/bin/python" proof/page.py --check
	$(TEST) $(CARGO) test --workspace --exclude audit_log $(T)

test-faults: extension ## break the server, sidecar, network, disk and clock under load, and count what is lost (RUNS=100, FAULTS="sealer,disk")
	$(CARGO) build --package audit_sidecar
	$(TEST) RUNS="$(or $(RUNS),10)" FAULTS="$(FAULTS)" $(CARGO) run --package audit_faults

test-thorough: extension python ## run the long tests: 24 sequences of crashes and restores, a pack beyond 4 GiB, each fuzz target for a minute (needs nightly cargo-fuzz)
	$(CARGO) build --package audit_sidecar
	AUDIT_TEST_SEQUENCES=24 $(TEST) $(CARGO) test --package audit_it -- seal_sequences
	$(TEST) $(CARGO) test --package audit_it -- --ignored programs_unpack
	for target in $(FUZZ_TARGETS); do \
		(cd $${target%%/*} && $(CARGO) +nightly fuzz run --target-dir "$(TARGET)/fuzz" $$(basename $$target .rs) -- -max_total_time=60) || exit 1; \
	done

# The tests of what depends on the server. The others test the sidecar, or need programs that a chroot does not have.
SERVER_TESTS := append:: install:: log:: query:: sql:: workers:: retention::
SKIPPED := --skip=retention::archive --skip=browser:: --skip=rest::

CHROOTS := CARGO="$(CARGO)" TARGET="$(TARGET)" TOOLS="$(TOOLS)" PGRX_TARGET="$(PGRX_TARGET)"

# The chroots use the crates that `extension` has compiled. A later Debian runs what an earlier one has built, but not vice versa.
test-versions: extension ## test the extension on other major versions of PostgreSQL, in chroots below VERSIONS_DIR (needs root; T="log:: sql::" chooses tests)
	@$(CHROOTS) TESTS="$(or $(T),$(SERVER_TESTS)) $(SKIPPED)" tests/scripts/versions.sh "$(VERSIONS_DIR)" $(OTHER_MAJORS)

test-upgrades: extension ## move an audit log from PostgreSQL 15 to 17 and 18, and from 17 to 18, by pg_upgrade, dump and restore, and logical replication (needs root)
	@$(CHROOTS) tests/scripts/upgrades.sh "$(VERSIONS_DIR)"

versions: deps
	@$(CHROOTS) tests/scripts/versions.sh --prepare "$(VERSIONS_DIR)" $(OTHER_MAJORS)

# A PostgreSQL with assertions, and the extension with those of Rust. They notice a misuse of a raw pointer, for example.
CHECKED := $(TARGET)/checked
checked: cargo-pgrx
	@tests/scripts/deps.sh checked
	@tests/scripts/checked_server.sh "$(CHECKED)"
	CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
		CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
		$(MAKE) extension PG_MAJOR=15 DEPS=checked PG_CONFIG="$(CHECKED)/server/bin/pg_config" PREFIX="$(CHECKED)/pg" PGRX_TARGET="$(CHECKED)/pgrx"
	$(CARGO) build --package audit_sidecar

test-assert: checked ## test the extension on a server with assertions, which is built from Debian's source (T="log:: sql::" chooses tests)
	AUDIT_TEST_PREFIX="$(CHECKED)/pg" $(CARGO) test --package audit_it -- $(or $(T),$(SERVER_TESTS)) $(SKIPPED) --skip=pgaudit --skip=pg_cron

test-valgrind: checked ## test the extension on the same server under valgrind (T="log:: sql::" chooses tests)
	@tests/scripts/valgrind.sh "$(CHECKED)" $(T)

bench: build ## compare with plain INSERT, COPY and the like; prints a table and writes it to target/bench
	AUDIT_TEST_PREFIX="$(PREFIX)" $(CARGO) run --release --package audit_bench

demo: build ## run a private PostgreSQL, the extension, the sidecar and 13 months of events (ONCE=1: stop when it is ready)
	$(CARGO) build --release --package audit_demo
	@AUDIT_TEST_PREFIX="$(PREFIX)" "$(TARGET)/release/audit_demo" $(if $(filter-out 0,$(ONCE)),--once)

docs: checks ## build the manual in docs/ into target/book, and check its links
	"$(CHECKS)/bin/mdbook" build --dest-dir "$(TARGET)/book" docs
	$(LINKS) --root-dir "$(TARGET)/book" "$(TARGET)/book"

include packaging/packaging.mk

clean: ## remove target/ except the tools
	@if [ -d "$(TARGET)" ]; then find "$(TARGET)" -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +; fi
