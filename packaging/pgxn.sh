#!/usr/bin/env bash
# Makes the source archive for PGXN from HEAD, and checks its META.json: `pgxn.sh VERSION PGXN_META OUTPUT`. `make pgxn` calls this script.
set -euo pipefail

version=$1 pgxn_meta=$2 output=$3
source=$(cd "$(dirname "$0")/.." && pwd)
name=audit_log-$version
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

mkdir -p "$output"
git -C "$source" archive --prefix="$name/" --output="$stage/source.tar" HEAD
tar --extract --file "$stage/source.tar" --directory "$stage"
sed "s/@VERSION@/$version/" "$source/packaging/META.json" >"$stage/$name/META.json"
"$pgxn_meta" "$stage/$name/META.json"
rm -f "$output/$name.zip"
(cd "$stage" && TZ=UTC zip --quiet --recurse-paths --symlinks -X "$output/$name.zip" "$name")
echo "$output/$name.zip"
