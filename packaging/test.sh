#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian packages in a chroot of Debian 12, with systemd and a real PostgreSQL, and
# uses them there: `test.sh DIR DEBS`. The upgrade is to a made-up version with the same files. `make test-deb` calls this script.
#
# The commands are those of "Ten minutes on Debian 12" in docs/quickstart.md. DIR/base is a bare Debian, which is made once. DIR/root is a copy, which is new in each run. In it, systemd runs in namespaces of its
# own, so that the service starts as on a real machine.
set -euo pipefail

directory=$(realpath -m "$1") debs=$(realpath "$2")
base=$directory/base root=$directory/root log=$directory/log
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
major=${PG_MAJOR:-15}
quickstart=$(cd "$(dirname "$0")" && pwd)/../docs/quickstart.md
# Programs that a bare chroot lacks and a machine has.
programs=(systemd systemd-sysv dbus libnss-systemd sudo procps curl man-db bash-completion ca-certificates)

fail() {
    echo "packaging/test.sh: $*. The output of the programs is in $log" >&2
    exit 1
}
# Prints the commands of the section, by their number.
commands() { awk -v wanted="$1" '/^## / { inside = /Ten minutes/ } inside && /^```sh$/ { n++; printing = (n == wanted); next } /^```$/ { printing = 0 } printing' "$quickstart"; }
step() { echo "== $* (after $SECONDS s)"; }

[[ $(id -u) -eq 0 ]] || fail "only root can make a chroot"
if [[ -z ${IN_NAMESPACE:-} ]]; then
    command -v debootstrap >/dev/null || fail "debootstrap is missing. Install it with \`make deps\`"
    # The mounts and processes of this script end with it.
    exec env IN_NAMESPACE=yes unshare --mount --pid --mount-proc --fork --kill-child "$0" "$directory" "$debs"
fi
mkdir -p "$directory"
: >"$log"

if [[ ! -f $base/complete ]]; then
    step "making a bare Debian 12"
    rm -rf --one-file-system "$base"
    debootstrap --variant=minbase --include="$(IFS=,; echo "${programs[*]}")" bookworm "$base" "$mirror" >>"$log" 2>&1 ||
        fail "debootstrap failed"
    touch "$base/complete"
fi
rm -rf --one-file-system "$root"
cp -a "$base" "$root"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir "$root/debs" "$root/newer"
for deb in "$debs"/*.deb; do
    cp "$deb" "$root/debs/"
    dpkg-deb --raw-extract "$deb" "$directory/newer"
    sed -i 's/^Version: .*/&+test/' "$directory/newer/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip --build "$directory/newer" "$root/newer" >>"$log"
    rm -r "$directory/newer"
done
clean=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)

if [[ -n ${LINTIAN:-} ]]; then
    step "lintian"
    if [[ ! -f $directory/lintian/complete ]]; then
        rm -rf --one-file-system "$directory/lintian"
        cp -a "$base" "$directory/lintian"
        cp /etc/resolv.conf /etc/hosts "$directory/lintian/etc/"
        chroot "$directory/lintian" "${clean[@]}" sh -c 'apt-get update && apt-get -y --no-install-recommends install lintian' >>"$log" 2>&1 ||
            fail "lintian cannot be installed"
        touch "$directory/lintian/complete"
    fi
    rm -rf "$directory/lintian/debs"
    cp -r "$root/debs" "$directory/lintian/debs"
    chroot "$directory/lintian" "${clean[@]}" sh -c 'lintian --allow-root --fail-on error,warning --tag-display-limit 0 --info /debs/*.deb' ||
        fail "lintian found faults"
fi

step "installing"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Debian's way to install services without starting them. systemd starts them below.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
printf 'APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\n' >"$root/etc/apt/apt.conf.d/test"
chroot "$root" "${clean[@]}" bash -ec "apt-get update; cd /debs; $(commands 1)" >>"$log" 2>&1 || fail "the packages cannot be installed"
rm "$root/usr/sbin/policy-rc.d"
umount -l "$root/dev" "$root/proc"

step "starting systemd"
# systemd gets a control group of its own, an empty network, and kernel settings that it cannot change. pivot_root makes the chroot the root
# of the mounts, which the sandbox of a service needs.
mkdir -p "$directory/cgroup"
mount -t cgroup2 cgroup2 "$directory/cgroup"
cgroup=$directory/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/audit-test-$$
mkdir "$cgroup"
init=
clean_up() {
    [[ -z $init ]] || kill -KILL "$init" 2>/dev/null || true
    wait || true
    find "$cgroup" -depth -type d -exec rmdir {} + || true
}
trap clean_up EXIT
# shellcheck disable=SC2016
start_systemd='
    set -e
    cd "$0"
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,ro,bind proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs tmpfs dev
    for device in null zero full random urandom tty; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
    mkdir -p dev/shm dev/pts host
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    pivot_root . host
    umount -l /host
    exec env -i container=test /lib/systemd/systemd --log-target=console --show-status=no'
# shellcheck disable=SC2016
sh -c 'echo 0 >"$1/cgroup.procs" && exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child sh -c "$2" "$0"' \
    "$root" "$cgroup" "$start_systemd" </dev/null >>"$log" 2>&1 &
unshare=$!
for ((i = 0; i < 50; i++)); do
    init=$(pgrep -P "$unshare" || true)
    if [[ -n $init ]]; then break; fi
    sleep 0.1
done
[[ -n $init ]] || fail "systemd did not start"
inside() { nsenter --target "$init" --all --root --wdns=/ "${clean[@]}" "$@"; }
wait_for() {
    local what=$1 i
    shift
    for ((i = 0; i < 120; i++)); do
        if "$@" >>"$log" 2>&1; then return; fi
        sleep 0.5
    done
    { inside systemctl --no-pager status audit-sidecar; inside journalctl --no-pager --unit audit-sidecar; } >>"$log" 2>&1 || true
    fail "$what"
}
# The packages of /newer are expanded inside.
apt() { inside bash -c "apt-get $*" >>"$log" 2>&1 || fail "apt-get $* failed"; }
sql() { inside sudo -u postgres psql -XqAt -v ON_ERROR_STOP=1 -d app -c "$1"; }
is() { [[ $2 == "$3" ]] || fail "$1: expected \"$3\", got \"$2\""; echo "$1: $2"; }
get() { inside curl -sS --max-time 30 "$@"; }
ready() { get http://127.0.0.1:8787/readyz | grep -q '"ready":true'; }
follow() { inside env USER=root bash -ec "set -o pipefail; cd /root; $(commands "$1")" 2>>"$log" || fail "the commands number $1 of the quickstart failed"; }

wait_for "systemd is not up" inside systemctl is-active multi-user.target
version=$(inside dpkg-query -W -f '${Version}' audit-sidecar)
upstream=${version%%[-+~]*}
is "the program" "$(inside audit-sidecar --version)" "audit-sidecar $upstream"
is "the service" "$(inside systemctl is-enabled audit-sidecar || true)" disabled
is "the mode of the settings" "$(inside stat -c '%a %U' /etc/default/audit-sidecar)" "600 root"
inside systemd-analyze verify /lib/systemd/system/audit-sidecar.service
inside systemd-analyze security --offline=true --threshold=20 --no-pager /lib/systemd/system/audit-sidecar.service | tail -n 1

step "the first event"
begin=$SECONDS
follow 2 >>"$log"
follow 3 >>"$log"
is "events" "$(sql "SELECT count(*) FROM audit.events('acme')")" 1
is "versions" "$(sql "SELECT string_agg(value, ' ') FROM audit.status() WHERE ok AND name IN ('loaded library', 'installed library', 'SQL')")" \
    "$upstream $upstream $upstream"

step "the first page"
follow 4 >>"$log"
wait_for "the sidecar is not ready" ready
is "the account" "$(inside ps -o user:20= -C audit-sidecar)" audit-sidecar
token=$(inside sudo -u postgres audit-sidecar token create --all-workspaces --role auditor --name test \
    --database-url 'host=/run/postgresql dbname=app user=postgres' 2>>"$log")
status=$(get -H "Authorization: Bearer $token" http://127.0.0.1:8787/v1/status)
[[ $status == *'"name":"SQL","ok":true'* ]] || fail "the status is $status"
echo "the status: ${status:0:100}…"
link=$(follow 5)
echo "the link: ${link:0:40}…"
is "the page behind the link" "$(get -o /dev/null -w '%{http_code}' "$link")" 200

step "the first pack"
report=$(follow 6)
grep -A 1 "^COMPLETE" <<<"$report" || fail "the report of the pack is $report"
echo "from the first command to the pack: $((SECONDS - begin)) s"

step "the manual and the completions"
page=$(inside man --no-hyphenation -P cat audit-sidecar-serve)
[[ $page == *AUDIT_DATABASE_URL* ]] || fail "the manual page of serve does not name AUDIT_DATABASE_URL"
inside bash -c 'source /usr/share/bash-completion/completions/audit-sidecar && complete -p audit-sidecar'
[[ -s $root/usr/share/zsh/vendor-completions/_audit-sidecar && -s $root/usr/share/fish/vendor_completions.d/audit-sidecar.fish ]] ||
    fail "a completion is missing"

step "upgrading"
process=$(inside systemctl show -P MainPID audit-sidecar)
apt "install /newer/*.deb"
is "the new version" "$(inside dpkg-query -W -f '${Version}' audit-sidecar)" "$version+test"
wait_for "the sidecar is not ready after the upgrade" ready
[[ $(inside systemctl show -P MainPID audit-sidecar) != "$process" ]] || fail "the upgrade did not restart the service"
inside systemctl restart "postgresql@$major-main"
wait_for "PostgreSQL does not answer" sql "SELECT 1"
is "events after the upgrade" "$(sql "SELECT count(*) FROM audit.events('acme', action => 'login_failed')")" 1
is "damages" "$(sql "SELECT count(*) FROM audit.verify()")" 0

step "removing"
packages=(audit-sidecar "postgresql-$major-audit-log")
inside dpkg -L "${packages[@]}" | sort -u >"$directory/files"
# Prints what is left. The settings of PostgreSQL and its data are the administrator's.
left() {
    while IFS= read -r file; do
        if [[ -f $root$file || (-L $root$file && ! -d $root$file) ]]; then echo "$file"; fi
    done <"$directory/files"
    inside find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /debs -o -path /newer -o -path /var/cache \
        -o -path /var/lib/dpkg -o -path /etc/postgresql -o -path /var/log -o -path /var/lib/postgresql \) -prune \
        -o \( -name '*audit-sidecar*' -o -name '*audit_log*' -o -name '*audit-log*' \) -print
}
apt remove "${packages[@]}"
is "the service" "$(inside systemctl is-active audit-sidecar || true)" inactive
# Configuration, to which Debian counts what is enabled, and the state of the signer.
kept=(/etc/default/audit-sidecar /etc/systemd/system/multi-user.target.wants/audit-sidecar.service /var/lib/audit-sidecar
    /var/lib/private/audit-sidecar /var/lib/systemd/deb-systemd-helper-enabled/audit-sidecar.service.dsh-also
    /var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/audit-sidecar.service)
is "left after the removal" "$(left | sort -u | tr '\n' ' ')" "${kept[*]} "
# apt no longer knows a package that has left no configuration.
inside dpkg --purge "${packages[@]}" >>"$log" 2>&1 || fail "the packages cannot be purged"
is "left after the purge" "$(left | sort -u | tr '\n' ' ')" ""

step "done"
clean_up
trap - EXIT
umount -l "$root"
rm -rf --one-file-system "$root"
