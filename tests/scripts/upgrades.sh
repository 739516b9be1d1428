#!/usr/bin/env bash
# Moves an audit log to a later major version of PostgreSQL: `upgrades.sh DIR`. pg_upgrade, a dump with a restore, and logical
# replication go from 15 to 17, from 17 to 18, and from 15 to 18. `make test-upgrades` calls this script. The new version runs in its
# chroot (see chroots.sh), and the old one beside it, with the libraries of its own Debian release that the new release does not have.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
directory=$(realpath -m "$1")
source "$repository/tests/scripts/chroots.sh"

# Makes the private PostgreSQL of an old version visible in the chroot of a new one, at /var/old.
bring_old() {
    local old=$1 old_root=$2 old_prefix=$3 root=$4 folder library
    for folder in "/usr/lib/postgresql/$old" "/usr/share/postgresql/$old"; do
        mkdir -p "$root$folder"
        mount --bind "$old_root$folder" "$root$folder"
    done
    mkdir -p "$root/var/old"
    mount --bind "$old_root$old_prefix" "$root/var/old"
    rm -rf "$root/var/old-libraries"
    mkdir -p "$root/var/old-libraries"
    while read -r library; do
        [[ -e $root$library || -e $root/usr$library ]] || cp -L "$old_root$library" "$root/var/old-libraries/"
    done < <(chroot "${old_root:-/}" bash -c "ldd $old_prefix/lib/postgresql/$old/bin/{postgres,psql,pg_dump,initdb} $old_prefix/lib/postgresql/$old/lib/audit_log.so" |
        grep -o '=> /[^ ]*' | cut -c 4- | sort -u)
    echo /var/old-libraries >"$root/etc/ld.so.conf.d/audit_log.conf"
    chroot "$root" ldconfig
}

upgrade() {
    local old=$1 old_root=$2 old_prefix=$3 new=$4 root=$directory/$4
    prepare_version "$new"
    build_in "$root" "$new"
    bring_old "$old" "$old_root" "$old_prefix" "$root"
    cp "$repository/tests/scripts/upgrade_cluster.sh" "$root/tmp/"
    chmod 755 "$root/tmp/upgrade_cluster.sh"
    echo "PostgreSQL $old to $new:"
    chroot "$root" setpriv --reuid postgres --regid postgres --init-groups /usr/bin/env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 HOME=/tmp \
        /tmp/upgrade_cluster.sh "/var/old/lib/postgresql/$old/bin" "/var/target/pg/lib/postgresql/$new/bin"
    run_tests "$root" "$new" AUDIT_TEST_OLD_PREFIX=/var/old -- install::replication
}

if [[ -z ${IN_NAMESPACE:-} ]]; then
    check_machine
    build_tests
    enter_namespace "$directory"
fi
upgrade 15 "" "$TARGET/pg" 17
upgrade 17 "$directory/17" /var/target/pg 18
upgrade 15 "" "$TARGET/pg" 18
