#!/usr/bin/env bash
# Packs the built extension and sidecar as Debian packages: `deb.sh MAJOR VERSION EXTENSION SIDECAR MANUAL OUTPUT`. EXTENSION is
# the directory that `cargo pgrx package` wrote, SIDECAR the program, MANUAL the directory that the example `manual` wrote.
# `make deb` calls this script.
set -euo pipefail

major=$1 version=$2 extension=$3 sidecar=$4 manual=$5 output=$6
source=$(cd "$(dirname "$0")/.." && pwd)
build=$output/build
stage=$build/stage

rm -rf "$build"
mkdir -p "$stage/sidecar/usr/bin" "$stage/sidecar/usr/share/zsh/vendor-completions" \
    "$stage/sidecar/usr/share/fish/vendor_completions.d" "$stage/sidecar/usr/share/bash-completion/completions"
cp -r "$extension" "$stage/extension"
install -m 0755 "$sidecar" "$stage/sidecar/usr/bin/audit-sidecar"
cp "$manual/bash/audit-sidecar.bash" "$stage/sidecar/usr/share/bash-completion/completions/audit-sidecar"
cp "$manual/zsh/_audit-sidecar" "$stage/sidecar/usr/share/zsh/vendor-completions/"
cp "$manual/fish/audit-sidecar.fish" "$stage/sidecar/usr/share/fish/vendor_completions.d/"

cp -r "$manual/man1" "$source/README.md" "$source/CHANGELOG.md" "$source/packaging/debian" "$build/"
cd "$build/debian"
sed "s/@MAJOR@/$major/" control.in >control
sed "s/@MAJOR@/$major/" extension.lintian-overrides >"postgresql-$major-audit-log.lintian-overrides"
echo "stage/extension/usr /" >"postgresql-$major-audit-log.install"
echo "stage/sidecar/usr /" >audit-sidecar.install
echo "man1/*.1" >audit-sidecar.manpages
echo README.md | tee audit-sidecar.docs >"postgresql-$major-audit-log.docs"
{
    cat copyright.in
    # In this format, an empty line of a licence is a full stop.
    tail -n +5 "$source/LICENSE" | sed 's/^$/./; s/^/ /'
} >copyright
cat >changelog <<CHANGELOG
audit-log ($version-1) unstable; urgency=medium

  * See CHANGELOG.md.

 -- audit_log authors <audit_log@packages.invalid>  $(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct)}")
CHANGELOG
rm control.in copyright.in extension.lintian-overrides
cd ..
debian/rules binary
rm -rf "$build"
