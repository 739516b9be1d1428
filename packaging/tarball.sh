#!/usr/bin/env bash
# Packs the built extension and sidecar for systems without packages: `tarball.sh MAJOR VERSION EXTENSION SIDECAR MANUAL OUTPUT`. The
# arguments are those of deb.sh. `make tarball` calls this script.
set -euo pipefail

major=$1 version=$2 extension=$3 sidecar=$4 manual=$5 output=$6
source=$(cd "$(dirname "$0")/.." && pwd)
name=audit_log-$version-pg$major-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
stage=$output/$name
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct)}

rm -rf "$stage"
mkdir -p "$stage/lib" "$stage/extension" "$stage/bin"
find "$extension" -name 'audit_log.so' -exec cp -t "$stage/lib" {} +
find "$extension" \( -name 'audit_log*.sql' -o -name audit_log.control \) -exec cp -t "$stage/extension" {} +
[[ -f $stage/lib/audit_log.so && -f $stage/extension/audit_log--$version.sql ]] || { echo "tarball.sh: $extension holds no extension" >&2; exit 1; }
install -m 0755 "$sidecar" "$stage/bin/audit-sidecar"
cp -r "$manual" "$stage/manual"
cp "$source/packaging/install.sh" "$source/packaging/debian/audit-sidecar.service" "$source/packaging/debian/audit-sidecar.default" \
    "$source/README.md" "$source/CHANGELOG.md" "$source/LICENSE" "$stage/"
echo "$major" >"$stage/MAJOR"
strip --strip-unneeded "$stage/lib/audit_log.so" "$stage/bin/audit-sidecar"
tar --create --gzip --file "$output/$name.tar.gz" --directory "$output" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" "$name"
rm -rf "$stage"
echo "$output/$name.tar.gz"
