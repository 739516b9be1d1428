#!/usr/bin/env bash
# Keeps the install script of a release: `freeze.sh VERSION SCRIPT`. `make freeze` calls this script.
set -euo pipefail

version=$1 script=$2
frozen=$(cd "$(dirname "$0")/.." && pwd)/sql/released/audit_log--$version.sql

if [[ -f $frozen ]] && ! cmp -s "$script" "$frozen"; then
    echo "freeze.sh: $frozen is released and differs from the present script. Raise the version in Cargo.toml, and write" \
         "sql/upgrade/audit_log--$version--NEW.sql instead." >&2
    exit 1
fi
cp "$script" "$frozen"
echo "$frozen"
