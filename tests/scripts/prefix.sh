#!/usr/bin/env bash
# Copies an installed PostgreSQL to a private prefix: `prefix.sh PG_CONFIG PREFIX`.
#
# PostgreSQL finds its files relative to its binaries, so the copy uses only its own files. An extension installs there
# without a change of the system. Large files that are never written are links. PREFIX/pg_config is the copy's pg_config.
set -euo pipefail

pg_config=$1
prefix=$2

if ! version=$("$pg_config" --version 2>/dev/null); then
    echo "prefix.sh: $pg_config does not run. Install PostgreSQL and its server headers with \`make deps\`, or set" \
         "PG_CONFIG to another pg_config." >&2
    exit 1
fi
bin=$("$pg_config" --bindir)
lib=$("$pg_config" --pkglibdir)
# The list of libraries is part of the stamp, so that one installed later is copied, too.
libraries=$(cd "$lib" && printf '%s\n' *.so | grep -v '^audit_log' | cksum)
stamp="$pg_config $version $libraries"
if [[ -f $prefix/version && $(<"$prefix/version") == "$stamp" ]]; then
    exit 0
fi

share=$("$pg_config" --sharedir)
include=$("$pg_config" --includedir)

# The common parent directory. The paths relative to it must stay the same.
root=$bin
for dir in "$lib" "$share" "$include"; do
    while [[ $dir/ != "$root"/* ]]; do root=${root%/*}; done
done
inside() { echo "$prefix${1#"$root"}"; }

echo "copying $version to $prefix"
rm -rf "$prefix"
mkdir -p "$(inside "$bin")" "$(inside "$lib")" "$(inside "$share")/extension" "$(dirname "$(inside "$include")")"

cp -p "$bin"/* "$(inside "$bin")/"
for entry in "$lib"/*; do
    case $entry in
        */audit_log*.so) ;; # from an installation of this extension
        *.so) cp -p "$entry" "$(inside "$lib")/" ;;
        *) ln -s "$entry" "$(inside "$lib")/" ;;
    esac
done
for entry in "$share"/*; do
    [[ $entry == */extension ]] || ln -s "$entry" "$(inside "$share")/"
done
find "$share/extension" -maxdepth 1 -type f ! -name 'audit_log*' -exec cp -p -t "$(inside "$share")/extension" {} +
ln -s "$include" "$(inside "$include")"
ln -s ".${bin#"$root"}/pg_config" "$prefix/pg_config"

chmod -R go+rX "$prefix" 2>/dev/null || true
echo "$stamp" > "$prefix/version"
