#!/usr/bin/env bash
# Tests the extension on other major versions of PostgreSQL: `versions.sh DIR MAJOR...`. Each version is installed in a chroot
# below DIR, from the Debian release that has it. The extension is built there, and the test program comes from outside.
# A chroot that is complete is used again. `make test-versions` calls this script.
# TESTS has texts in the names of the tests, instead of the list below. `versions.sh --prepare DIR MAJOR...` only makes the
# chroots, and fails if this machine does not permit that.
set -euo pipefail

# The tests of what depends on the server. The others test the sidecar, or need programs that the chroot does not have.
read -r -a tests <<<"${TESTS:-append:: install:: log:: query:: sql:: workers:: retention::}"
skipped=(retention::archive browser:: rest::)

only_prepares=no
if [[ ${1:-} == --prepare ]]; then
    only_prepares=yes
    shift
fi
repository=$(cd "$(dirname "$0")/../.." && pwd)
directory=$(realpath -m "$1")
shift
source "$repository/tests/scripts/chroots.sh"

test_version() {
    local major=$1 root=$directory/$1 start=$SECONDS
    build_in "$root" "$major"
    echo "PostgreSQL $major: built after $((SECONDS - start)) s"
    (cd "$repository/tests/it" && inside "$root" "$major" sh -c 'cd "$0" && exec "$@"' "$PWD" \
        env AUDIT_TEST_PREFIX=/var/target/pg "$TEST_PROGRAM" "${tests[@]}" "${skipped[@]/#/--skip=}")
    echo "PostgreSQL $major: tested after $((SECONDS - start)) s"
}

if [[ -z ${IN_NAMESPACE:-} ]]; then
    cd "$repository"
    check_machine
    if [[ $only_prepares == yes ]]; then
        enter_namespace --prepare "$directory" "$@"
    fi
    "$CARGO" build --package audit_sidecar
    TEST_PROGRAM=$("$CARGO" test --package audit_it --test it --no-run --message-format json-render-diagnostics | grep -o '"executable":"[^"]*"' | cut -d '"' -f 4)
    [[ -x $TEST_PROGRAM ]] || fail "cargo named no test program"
    # The builds in the chroots have no network.
    "$CARGO" fetch --locked
    export TEST_PROGRAM
    enter_namespace "$directory" "$@"
fi
for major in "$@"; do
    prepare_version "$major"
    [[ $only_prepares == yes ]] || test_version "$major"
done
