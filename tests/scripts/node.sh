#!/usr/bin/env bash
# Installs the packages of a lock file, and copies the programs beside it: `node.sh DIR SOURCE`.
set -euo pipefail

dir=$1
source=$2

mkdir -p "$dir"
cp "$source"/*.mjs "$dir"
if cmp -s "$source/package-lock.json" "$dir/installed.json"; then
    exit 0
fi
echo "installing the packages of $source in $dir"
cp "$source/package.json" "$source/package-lock.json" "$dir"
npm --prefix "$dir" ci --ignore-scripts --no-audit --no-fund --silent
cp "$source/package-lock.json" "$dir/installed.json"
