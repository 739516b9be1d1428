#!/usr/bin/env bash
# Does everything that a release needs on a clean clone of HEAD, except the publication: `release-check.sh DIR TOOLS`. The clone and
# its build are in DIR, the programs of the checks in TOOLS. STEPS chooses steps. `make release-check` calls this script.
set -euo pipefail

directory=$(realpath -m "$1") tools=$(realpath -m "$2")
source=$(cd "$(dirname "$0")/.." && pwd)
steps=${STEPS:-lint docs test test-versions test-deb packages tarball install}
clone=$directory/source

changes=$(git -C "$source" status --porcelain)
[[ -z $changes ]] || echo "release-check.sh: these changes are not committed, so they are not checked:" $'\n'"$changes" >&2

rm -rf "$clone"
git clone --quiet --no-hardlinks "$source" "$clone"
cd "$clone"
export TOOLS=$tools CARGO_TERM_COLOR=never
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
packages=$clone/target/dist/$version

# The tarball must install into directories of its own, and the program must run.
check_tarball() {
    local archive stage=$directory/tarball
    archive=$(echo "$packages"/audit_log-"$version"-pg*.tar.gz)
    rm -rf "$stage"
    mkdir -p "$stage"
    tar --extract --file "$archive" --directory "$stage"
    DESTDIR=$stage/system "$stage"/*/install.sh "/usr/lib/postgresql/${PG_MAJOR:-15}/bin/pg_config"
    [[ $("$stage/system/usr/local/bin/audit-sidecar" --version) == "audit-sidecar $version" ]]
    [[ -n $(find "$stage/system" -name "audit_log--$version.sql") && -n $(find "$stage/system" -name audit_log.so) ]]
    (cd "$packages" && sha256sum --check --quiet SHA256SUMS)
}

# `cargo install` must not need PostgreSQL: this pg_config fails, and leaves a file.
check_install() {
    local stub=$directory/stub
    rm -rf "$stub" "$directory/installed"
    mkdir -p "$stub"
    printf '#!/bin/sh\ntouch "%s/called"\nexit 1\n' "$stub" >"$stub/pg_config"
    chmod +x "$stub/pg_config"
    PATH=$stub:$PATH CARGO_TARGET_DIR=$clone/target cargo install --path sidecar --locked --root "$directory/installed"
    [[ ! -e $stub/called ]] || { echo "release-check.sh: the build of the sidecar calls pg_config" >&2; return 1; }
    [[ $("$directory/installed/bin/audit-sidecar" --version) == "audit-sidecar $version" ]]
}

for step in $steps; do
    start=$SECONDS
    echo "== $step"
    case $step in
        lint | docs | test | test-versions | test-deb | packages) make --no-print-directory "$step" ;;
        tarball) check_tarball ;;
        install) check_install ;;
        *) echo "release-check.sh: there is no step $step" >&2; exit 1 ;;
    esac
    echo "== $step took $((SECONDS - start)) s"
done
if [[ -f $packages/SHA256SUMS ]]; then
    echo "Version $version passes. The files to publish are in $packages:"
    cat "$packages/SHA256SUMS"
fi
