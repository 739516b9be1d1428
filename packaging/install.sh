#!/bin/sh
# Installs audit_log from the tarball that this script came with: `install.sh [PG_CONFIG]`. The extension goes into the directories of the
# PostgreSQL of PG_CONFIG (default: the pg_config in PATH), the sidecar and its manual below PREFIX (default: /usr/local). The
# variable DESTDIR is put before every path.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pg_config=${1:-pg_config}
prefix=${DESTDIR:-}${PREFIX:-/usr/local}
major=$(cat "$here/MAJOR")

if ! version=$("$pg_config" --version 2>/dev/null); then
    echo "install.sh: $pg_config does not run. Give the path of pg_config: install.sh /path/to/pg_config" >&2
    exit 1
fi
case $version in
    "PostgreSQL $major"*) ;;
    *)
        echo "install.sh: this is the extension for PostgreSQL $major, but $pg_config belongs to $version" >&2
        exit 1
        ;;
esac

lib=${DESTDIR:-}$("$pg_config" --pkglibdir)
share=${DESTDIR:-}$("$pg_config" --sharedir)/extension
mkdir -p "$lib" "$share" "$prefix/bin" "$prefix/share/man/man1"
# A running server has mapped the old library. So a new file takes its place.
install -m 0755 "$here/lib/audit_log.so" "$lib/audit_log.so.new"
mv "$lib/audit_log.so.new" "$lib/audit_log.so"
install -m 0644 "$here"/extension/* "$share/"
install -m 0755 "$here/bin/audit-sidecar" "$prefix/bin/audit-sidecar.new"
mv "$prefix/bin/audit-sidecar.new" "$prefix/bin/audit-sidecar"
install -m 0644 "$here"/manual/man1/* "$prefix/share/man/man1/"
echo "Installed the extension in $lib and $share, and audit-sidecar in $prefix/bin."
echo "Continue with \"Preload the library\" in the quickstart of the manual. After an upgrade, restart the server, then run ALTER EXTENSION audit_log UPDATE."
