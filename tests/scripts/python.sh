#!/usr/bin/env bash
# Makes a virtual environment with what a list of requirements names: `python.sh DIR LIST`.
set -euo pipefail

dir=$1
requirements=$2

if cmp -s "$requirements" "$dir/requirements.txt"; then
    exit 0
fi
echo "installing what $(basename "$requirements") lists in $dir"
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/python" -m pip --quiet --disable-pip-version-check install --only-binary :all: --requirement "$requirements"
cp "$requirements" "$dir/requirements.txt"
