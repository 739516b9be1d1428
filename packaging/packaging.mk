# The packages of a release. The Makefile includes this file.

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
DIST ?= $(TARGET)/dist
PACKAGES ?= $(DIST)/$(VERSION)

.PHONY: package-files deb test-deb

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
