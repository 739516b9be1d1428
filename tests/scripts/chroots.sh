# Chroots with other major versions of PostgreSQL, each from the Debian release that has it. versions.sh and upgrades.sh
# source this file. They set `directory`, below which the chroots are, and `repository`.

declare -A releases=([17]=trixie [18]=forky)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
fail() {
    echo "${0##*/}: $*" >&2
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

# Checks that this machine permits chroots, and says where the Rust toolchain is.
check_machine() {
    [[ $(id -u) -eq 0 ]] || fail "only root can make a chroot. Run it as root, or test the version that is installed with \`make test\`"
    command -v debootstrap >/dev/null || fail "debootstrap is missing. Install it with \`make deps\`"
    unshare --mount true || fail "this system does not permit mounts, which a chroot needs"
    export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    [[ -d $RUSTUP_HOME ]] || fail "$RUSTUP_HOME is missing. The chroots need a Rust toolchain of rustup"
}

# Builds the sidecar and the test program, and fetches all crates: the builds in the chroots have no network.
build_tests() {
    cd "$repository"
    "$CARGO" build --package audit_sidecar
    TEST_PROGRAM=$("$CARGO" test --package audit_it --test it --no-run --message-format json-render-diagnostics | grep -o '"executable":"[^"]*"' | cut -d '"' -f 4)
    [[ -x $TEST_PROGRAM ]] || fail "cargo named no test program"
    "$CARGO" fetch --locked
    export TEST_PROGRAM
}

# Runs the test program in a chroot: `run_tests ROOT MAJOR [VARIABLE=VALUE...] -- ARGUMENT...`.
run_tests() {
    local root=$1 major=$2 variables=()
    shift 2
    while [[ $1 != -- ]]; do variables+=("$1"); shift; done
    shift
    (cd "$repository/tests/it" && inside "$root" "$major" sh -c 'cd "$0" && exec "$@"' "$PWD" \
        env AUDIT_TEST_PREFIX=/var/target/pg "${variables[@]}" "$TEST_PROGRAM" "$@")
}

# Runs this script again in a namespace. Its mounts and processes end with it.
enter_namespace() {
    export IN_NAMESPACE=yes
    exec unshare --mount --pid --fork --kill-child "$0" "$@"
}

# Builds the extension in a chroot, into the private PostgreSQL at /var/target/pg.
build_in() {
    local root=$1 major=$2
    inside "$root" "$major" make --no-print-directory -C "$repository" extension \
        DEPS=server TOOLS="$TOOLS" PGRX_TARGET="$PGRX_TARGET"
}
