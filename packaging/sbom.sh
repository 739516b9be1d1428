#!/usr/bin/env bash
# Lists the crates that the library and the sidecar are built from, as CycloneDX: `sbom.sh MAJOR VERSION OUTPUT`. cargo-cyclonedx must be in
# PATH. `make sbom` calls this script.
set -euo pipefail

major=$1 version=$2 output=$3
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$output"

# cargo-cyclonedx writes its file beside each Cargo.toml of the workspace.
list() {
    local folder=$1 name=$2
    shift 2
    (cd "$source/$folder" && cargo cyclonedx --quiet --format json --target all --override-filename audit_sbom "$@")
    mv "$source/$folder/audit_sbom.json" "$output/$name-$version.cdx.json"
    find "$source" -maxdepth 3 -path "$source/target" -prune -o -name audit_sbom.json -exec rm {} +
    echo "$output/$name-$version.cdx.json"
}

list extension "audit_log-pg$major" --no-default-features --features "pg$major"
list sidecar audit-sidecar
