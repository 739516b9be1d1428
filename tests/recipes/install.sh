#!/usr/bin/env bash
# Installs the drivers of the recipes below a directory, if the lock files have changed: `install.sh DIR`.
set -euo pipefail

dir=$1
here=$(dirname "$0")

mkdir -p "$dir"
"$here/../scripts/python.sh" "$dir/python" "$here/python/requirements.txt"
"$here/../scripts/node.sh" "$dir/node" "$here/node"
