#!/usr/bin/env bash
# Checks the files that a person keeps for a release: `check-files.sh VERSION`. `make lint-release` calls this script.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$1
faults=0
fault() {
    echo "check-files.sh: $*" >&2
    faults=1
}

# The version is in Cargo.toml alone. The control file, META.json and the packages take it from there.
grep -q "^default_version = '@CARGO_VERSION@'$" extension/audit_log.control || fault "extension/audit_log.control must take its version from Cargo.toml"
for manifest in extension extension/masking proof sidecar tests/*; do
    if [[ -f $manifest/Cargo.toml ]] && ! grep -q '^version.workspace = true$' "$manifest/Cargo.toml"; then
        fault "$manifest/Cargo.toml must take its version from the workspace"
    fi
done
for crate in audit_log audit_masking audit_proof audit_sidecar; do
    grep -A 1 "^name = \"$crate\"$" Cargo.lock | grep -q "^version = \"$version\"$" || fault "Cargo.lock has another version of $crate. Run cargo check"
done

# Keep a Changelog: a section for the version or for what is not released yet, newest first, each with groups of known names.
headings=$(grep '^## ' CHANGELOG.md)
grep -q "^## \[\($version\] - [0-9]\{4\}-[0-9]\{2\}-[0-9]\{2\}\|Unreleased\]\)" <<<"$headings" || fault "CHANGELOG.md has no section for $version, nor for what is not released"
odd=$(grep -v '^## \[\(Unreleased\]\|[0-9]\+\.[0-9]\+\.[0-9]\+\] - [0-9]\{4\}-[0-9]\{2\}-[0-9]\{2\}\( \[YANKED\]\)\?\)$' <<<"$headings" || true)
[[ -z $odd ]] || fault "CHANGELOG.md has headings of another form: $odd"
odd=$(grep '^### ' CHANGELOG.md | grep -v '^### \(Added\|Changed\|Deprecated\|Removed\|Fixed\|Security\)$' || true)
[[ -z $odd ]] || fault "CHANGELOG.md has groups of another name: $odd"

# Each released version has its install script, and an upgrade script leads to it from the one before.
before=
while read -r released; do
    [[ -f sql/released/audit_log--$released.sql ]] || fault "sql/released/audit_log--$released.sql is missing. Run make freeze at the tag of that version"
    if [[ -n $before && ! -f sql/upgrade/audit_log--$before--$released.sql ]]; then
        fault "sql/upgrade/audit_log--$before--$released.sql is missing"
    fi
    before=$released
done < <(sed -n 's/^## \[\([0-9.]*\)\] - .*/\1/p' CHANGELOG.md | tac)
if [[ -n $before && $before != "$version" && ! -f sql/upgrade/audit_log--$before--$version.sql ]]; then
    fault "sql/upgrade/audit_log--$before--$version.sql is missing"
fi
for script in sql/released/*.sql; do
    [[ -e $script ]] || continue
    released=${script#*--}
    grep -q "^## \[${released%.sql}\] - " CHANGELOG.md || fault "$script is frozen, but CHANGELOG.md does not list its version as released"
done
exit $faults
