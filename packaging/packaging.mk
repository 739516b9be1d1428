# The packages of a release. The Makefile includes this file.

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
DIST ?= $(TARGET)/dist
PACKAGES ?= $(DIST)/$(VERSION)
TOOL_VERSIONS := cargo-cyclonedx@0.5.9 pgxn_meta@0.7.0

.PHONY: package-files deb test-deb tarball pgxn sbom packages freeze lint-release release-check package-tools

# The library and the sidecar are built for release. The example generates the manual from the definition of the command line.
package-files: deps prefix cargo-pgrx
	@rm -rf "$(DIST)/extension" "$(DIST)/manual"
	$(PRIVATE_PGRX) $(CARGO) pgrx package --package audit_log --pg-config "$(PG_CONFIG)" --out-dir "$(DIST)/extension" $(FEATURES)
	$(CARGO) build --locked --release --package audit_sidecar
	$(CARGO) run --locked --package audit_sidecar --example manual -- "$(DIST)/manual"

deb: package-files ## make the Debian packages postgresql-PG_MAJOR-audit-log and audit-sidecar in target/dist
	packaging/deb.sh $(PG_MAJOR) $(VERSION) "$(DIST)/extension" "$(TARGET)/release/audit-sidecar" "$(DIST)/manual" "$(PACKAGES)"

test-deb: deb ## install, upgrade and remove the Debian packages in a chroot of Debian 12 with systemd (needs root)
	PG_MAJOR=$(PG_MAJOR) packaging/test.sh "$(VERSIONS_DIR)/deb" "$(PACKAGES)"

tarball: package-files ## make a tarball of the library, the SQL and the sidecar, with an install script, in target/dist
	packaging/tarball.sh $(PG_MAJOR) $(VERSION) "$(DIST)/extension" "$(TARGET)/release/audit-sidecar" "$(DIST)/manual" "$(PACKAGES)"

pgxn: package-tools ## make the source archive for PGXN in target/dist, and check its META.json
	packaging/pgxn.sh $(VERSION) "$(TOOLS)/bin/pgxn_meta" "$(PACKAGES)"

sbom: package-tools ## list what the library and the sidecar are built from (CycloneDX) in target/dist
	PATH="$(TOOLS)/bin:$$PATH" packaging/sbom.sh $(PG_MAJOR) $(VERSION) "$(PACKAGES)"

packages: deb tarball pgxn sbom ## make everything that a release publishes, with checksums, in target/dist
	cd "$(PACKAGES)" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS

freeze: extension ## keep the install script of the version that is being released in sql/released
	packaging/freeze.sh $(VERSION) "$$("$(PRIVATE_PG_CONFIG)" --sharedir)/extension/audit_log--$(VERSION).sql"

lint-release:
	packaging/check-files.sh $(VERSION)

release-check: ## do everything that a release needs on a clean clone of HEAD, except the publication (an hour; needs root)
	packaging/release-check.sh "$(TARGET)/release-check" "$(TOOLS)"

package-tools:
	@for tool in $(TOOL_VERSIONS); do \
		if ! $(CARGO) install --list --root "$(TOOLS)" | grep -q "^$${tool%@*} v$${tool#*@}:"; then \
			echo "installing $$tool in $(TOOLS) (a few minutes, once)"; \
			CARGO_TARGET_DIR="$(TOOLS)/build" $(CARGO) install "$$tool" --locked --debug --root "$(TOOLS)" || exit 1; \
			rm -rf "$(TOOLS)/build"; \
		fi; \
	done
