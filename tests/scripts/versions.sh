#!/usr/bin/env bash
# Tests the extension on other major versions of PostgreSQL: `versions.sh DIR MAJOR...`. Each version is installed in a chroot
# below DIR, from the Debian release that has it. The extension is built there, and the test program comes from outside.
# A chroot that is complete is used again. `make test-versions` calls this script. TESTS has the arguments of the test program.
# `versions.sh --prepare DIR MAJOR...` only makes the chroots, and fails if this machine does not permit that.
set -euo pipefail

read -r -a tests <<<"${TESTS:-}"

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
    run_tests "$root" "$major" -- "${tests[@]}"
    echo "PostgreSQL $major: tested after $((SECONDS - start)) s"
}

if [[ -z ${IN_NAMESPACE:-} ]]; then
    check_machine
    if [[ $only_prepares == yes ]]; then
        enter_namespace --prepare "$directory" "$@"
    fi
    build_tests
    enter_namespace "$directory" "$@"
fi
for major in "$@"; do
    prepare_version "$major"
    [[ $only_prepares == yes ]] || test_version "$major"
done
