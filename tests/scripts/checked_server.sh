#!/usr/bin/env bash
# Builds PostgreSQL 15 with assertions, and with the requests that tell valgrind about its memory contexts: `checked_server.sh DIR`.
# The server comes from Debian's source package. It is in DIR/server afterwards, and its suppressions are in DIR/valgrind.supp.
# `make test-assert` and `make test-valgrind` call this script.
set -euo pipefail

directory=$(realpath -m "$1")
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
if [[ -f $directory/server/complete ]]; then exit 0; fi
rm -rf "$directory"/{source,server}
mkdir -p "$directory/lists/partial"
cd "$directory"

# The lists of source packages are kept apart, so the system's sources stay as they are.
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >sources.list
options=(-qq -o Dir::Etc::SourceList="$directory/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$directory/lists" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
apt-get "${options[@]}" --download-only source postgresql-15
# Debian's patches would install the modules into the directory of the system, whatever the prefix is.
source=$directory/source
dpkg-source --skip-patches -x postgresql-15_*.dsc "$source" >source.log

echo "building PostgreSQL of $(basename postgresql-15_*.dsc) with assertions"
cd "$source"
(
    ./configure --prefix="$directory/server" --enable-cassert --enable-debug --with-openssl --with-icu --with-libxml \
        CFLAGS="-Og -fno-omit-frame-pointer" CPPFLAGS=-DUSE_VALGRIND &&
    make -j2 &&
    make -j2 -C contrib &&
    make install &&
    make -C contrib install
) >"$directory/build.log" 2>&1 || { tail -n 20 "$directory/build.log" >&2; exit 1; }
cp src/tools/valgrind.supp "$directory/"
cd "$directory"
rm -rf "$source" lists postgresql-15_*
touch server/complete
