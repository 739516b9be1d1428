#!/usr/bin/env bash
# Installs the missing Debian packages that the build and the tests need. The script lists them, and asks before it uses
# sudo unless CI=true. `deps.sh server` installs only what the extension and the tests of test-versions need.
# `deps.sh checked` also installs what builds PostgreSQL itself, and valgrind.
set -euo pipefail

major=${PG_MAJOR:-15}
packages=(build-essential pkg-config libssl-dev clang libclang-dev "postgresql-$major" "postgresql-server-dev-$major"
    "postgresql-$major-cron" "postgresql-$major-pgaudit" libfaketime
    # A connection pooler in front of the sidecar and of applications.
    pgbouncer)
# Since version 18, the compiler of queries is a package of its own.
if [[ $major -ge 18 ]]; then
    packages+=("postgresql-$major-jit")
fi
if [[ ${1:-} == checked ]]; then
    packages+=(bison flex libicu-dev libreadline-dev libxml2-dev valgrind zlib1g-dev)
fi
if [[ -z ${1:-} ]]; then
    packages+=(python3-venv zip
        # A browser for the pages, and its driver.
        chromium chromium-driver
        # Chroots for other versions of PostgreSQL and for the test of the packages.
        debootstrap
        # An OpenID provider for the tests of single sign-on, and recipes for applications.
        nodejs
        # The packages.
        debhelper
        # A client of the feed.
        curl
        # A program that makes backups and archives WAL.
        pgbackrest
        # Languages and drivers of the recipes for applications.
        ruby ruby-activerecord ruby-pg golang-github-jackc-pgx-v4-dev libpostgresql-jdbc-java
        # Programs that must unpack packs alike.
        unzip 7zip libarchive-tools busybox default-jdk-headless golang-go)
    # A nodejs from elsewhere can hold npm itself.
    command -v npm >/dev/null || packages+=(npm)
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [[ $status == "install ok installed" ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "Missing Debian packages: ${missing[*]}. This system has no apt-get. Install the corresponding packages, then try again." >&2
    exit 1
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo)
    if [[ ${CI:-} != true ]]; then
        if [[ ! -t 0 ]]; then
            echo "Missing packages: ${missing[*]}. Run: sudo apt-get install ${missing[*]}" >&2
            exit 1
        fi
        read -r -p "Missing packages: ${missing[*]}. Install them with sudo apt-get? [y/N] " answer
        [[ $answer == [yY]* ]] || exit 1
    fi
fi
echo "installing ${missing[*]}"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends "$@"; }

apt update
# The server package would create and start a cluster on port 5432. This temporary setting prevents it.
note=/etc/postgresql-common/createcluster.d/audit_log.conf
"${as_root[@]}" mkdir -p "${note%/*}"
echo "create_main_cluster = false" | "${as_root[@]}" tee "$note" >/dev/null
trap '"${as_root[@]}" rm -f "$note"' EXIT
apt install postgresql-common
apt install "${missing[@]}"
