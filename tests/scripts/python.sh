#!/usr/bin/env bash
# Creates a virtual environment with the packages of a requirements file: `python.sh DIR LIST`. The file must name the packages
# that others need.
set -euo pipefail

dir=$1
requirements=$2

if cmp -s "$requirements" "$dir/requirements.txt"; then
    exit 0
fi
echo "installing the packages of $(basename "$requirements") in $dir"
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --only-binary :all: --requirement "$requirements"
cp "$requirements" "$dir/requirements.txt"
