#!/usr/bin/env bash
# Tests the extension on other major versions of PostgreSQL: `versions.sh DIR MAJOR...`. Each version is installed in a chroot
# below DIR, from the Debian release that has it. The extension is built there, and the test program comes from outside.
# A chroot that is complete is used again. `make test-versions` calls this script.
# TESTS has texts in the names of the tests, instead of the list below. `versions.sh --prepare DIR MAJOR...` only makes the
# chroots, and fails if this machine does not permit that.
set -euo pipefail

declare -A releases=([17]=trixie [18]=forky)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
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

fail() {
    echo "versions.sh: $*" >&2
    exit 1
}

# Makes the chroot of a major version, if it is not complete.
make_chroot() {
    local major=$1 root=$2 release=${releases[$1]:-}
    [[ -n $release ]] || fail "no Debian release is known to have PostgreSQL $major"
    if [[ -f $root/complete ]]; then return; fi
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    echo "installing Debian $release in $root"
    # debootstrap knows the releases of its time. Its script for `sid` suits all later ones.
    debootstrap --variant=minbase "$release" "$root" "$mirror" /usr/share/debootstrap/scripts/sid >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log" >&2; fail "debootstrap of $release failed. The whole output is in $root.log"; }
    # The index of a release that is not out yet expires after some days, and a mirror may be late.
    echo 'Acquire::Check-Valid-Until "false"; APT::Keep-Downloaded-Packages "false";' >"$root/etc/apt/apt.conf.d/audit_log"
    touch "$root/complete"
}

# Makes the repository and the Rust toolchain visible in a chroot. The mounts end with the namespace of this script.
mount_into() {
    local root=$1 path
    for path in "$repository" "$CARGO_HOME" "$RUSTUP_HOME" "$TARGET"; do
        mkdir -p "$root$path"
        mount --bind "$path" "$root$path"
    done
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
}

inside() {
    local root=$1 major=$2
    shift 2
    chroot "$root" /usr/bin/env -i CI=true HOME=/root PATH="$CARGO_HOME/bin:/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C.UTF-8 \
        CARGO_HOME="$CARGO_HOME" RUSTUP_HOME="$RUSTUP_HOME" ${RUSTUP_TOOLCHAIN:+RUSTUP_TOOLCHAIN="$RUSTUP_TOOLCHAIN"} \
        CARGO_TARGET_DIR=/var/target CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never PG_MAJOR="$major" "$@"
}

# Makes the chroot, and installs the packages in it.
prepare_version() {
    local major=$1 root=$directory/$1 start=$SECONDS
    make_chroot "$major" "$root"
    mount_into "$root"
    inside "$root" "$major" "$repository/tests/scripts/deps.sh" server
    echo "PostgreSQL $major: installed after $((SECONDS - start)) s"
}

test_version() {
    local major=$1 root=$directory/$1 start=$SECONDS
    inside "$root" "$major" make --no-print-directory -C "$repository" extension \
        DEPS=server TOOLS="$TOOLS" PGRX_TARGET="$PGRX_TARGET"
    echo "PostgreSQL $major: built after $((SECONDS - start)) s"
    (cd "$repository/tests/it" && inside "$root" "$major" sh -c 'cd "$0" && exec "$@"' "$PWD" \
        env AUDIT_TEST_PREFIX=/var/target/pg "$TEST_PROGRAM" "${tests[@]}" "${skipped[@]/#/--skip=}")
    echo "PostgreSQL $major: tested after $((SECONDS - start)) s"
}

[[ $(id -u) -eq 0 ]] || fail "only root can make a chroot. Run it as root, or test the version that is installed with \`make test\`"
if [[ -z ${IN_NAMESPACE:-} ]]; then
    command -v debootstrap >/dev/null || fail "debootstrap is missing. Install it with \`make deps\`"
    unshare --mount true || fail "this system does not permit mounts, which a chroot needs"
    export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    [[ -d $RUSTUP_HOME ]] || fail "$RUSTUP_HOME is missing. The chroots need a Rust toolchain of rustup"
    cd "$repository"
    export IN_NAMESPACE=yes
    if [[ $only_prepares == yes ]]; then
        exec unshare --mount --pid --fork --kill-child "$0" --prepare "$directory" "$@"
    fi
    "$CARGO" build --package audit_sidecar
    TEST_PROGRAM=$("$CARGO" test --package audit_it --test it --no-run --message-format json-render-diagnostics | grep -o '"executable":"[^"]*"' | cut -d '"' -f 4)
    [[ -x $TEST_PROGRAM ]] || fail "cargo named no test program"
    # The builds in the chroots have no network.
    "$CARGO" fetch --locked
    export TEST_PROGRAM
    # The mounts and processes of this script end with it.
    exec unshare --mount --pid --fork --kill-child "$0" "$directory" "$@"
fi
for major in "$@"; do
    prepare_version "$major"
    [[ $only_prepares == yes ]] || test_version "$major"
done
