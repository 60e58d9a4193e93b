#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deb.sh BUILD: makes the Debian package of a build and looks into it: what is in it and whose it is, what
# it needs, that its scripts are shell, that its configuration, its unit, its manual page and its
# completion fit the program that is in it. scripts/fresh-package installs it; this needs no root.
set -euo pipefail
export LC_ALL=C.UTF-8

build=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/skald-deb.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT

say() { echo "== $*"; }
fail() { echo "FAIL: $*" >&2; exit 1; }
for tool in cpack dpkg-deb dpkg-shlibdeps file gzip; do
    if ! command -v $tool >/dev/null; then echo "SKIPPED: there is no $tool"; exit 77; fi
done

say 'cpack'
cpack --config "$build/CPackConfig.cmake" -B "$work/out" -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip >"$work/log" 2>&1 ||
    fail "cpack: $(tail -n 20 "$work/log")"
version=$(sed -n 's/^#define SKALD_VERSION_TEXT "\(.*\)"/\1/p' "$source/include/skald/base.h")
deb=$work/out/skald_${version}_$(dpkg --print-architecture).deb
[ -f "$deb" ] || fail "there is no $deb, but $(ls "$work/out")"

say 'what is in it'
dpkg-deb -c "$deb" >"$work/list"
awk '$2 != "root/root" || $1 !~ /^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x)$/ { print; bad = 1 } END { exit bad }' "$work/list" ||
    fail 'these belong to somebody, or may be written by anybody'
sed -n 's|^-.* \./|/|p' "$work/list" | grep -v '^/usr/share/doc/skald/\(docs\|examples\)/' | sort >"$work/files"
diff "$work/files" - <<'LIST' || fail 'files (<) are not what they should be (>)'
/etc/skald/skald.yaml
/lib/systemd/system/skald.service
/usr/bin/skald
/usr/share/bash-completion/completions/skald
/usr/share/doc/skald/NOTICE.gz
/usr/share/doc/skald/changelog.gz
/usr/share/doc/skald/copyright
/usr/share/fish/vendor_completions.d/skald.fish
/usr/share/man/man1/skald.1.gz
/usr/share/zsh/vendor-completions/_skald
LIST
for file in docs/operations.md docs/configuration.md examples/skald.yaml examples/monitoring/alerts.yml; do
    grep -q " \./usr/share/doc/skald/$file$" "$work/list" || fail "there is no $file"
done

say 'what it says of itself'
dpkg-deb -e "$deb" "$work/control"
[ "$(dpkg-deb -f "$deb" Package Version)" = "Package: skald"$'\n'"Version: $version" ] || fail "$(dpkg-deb -f "$deb")"
packager=$(sed -n 's/^SKALD_PACKAGER:STRING=//p' "$build/CMakeCache.txt")
[[ $packager == *' <'*@*'>' ]] || fail "nobody is named who answers for it: '$packager'"
[ "$(dpkg-deb -f "$deb" Maintainer)" = "$packager" ] || fail "its maintainer is $(dpkg-deb -f "$deb" Maintainer), not $packager"
for library in adduser procps libssl3 libcurl4 libsqlite3-0 libc6; do
    dpkg-deb -f "$deb" Depends | grep -w "$library" > /dev/null || fail "it does not depend on $library: $(dpkg-deb -f "$deb" Depends)"
done
[ "$(cat "$work/control/conffiles")" = /etc/skald/skald.yaml ] || fail 'the configuration is no conffile'
for script in postinst prerm postrm; do
    [ -x "$work/control/$script" ] || fail "$script cannot be run"
    head -n 1 "$work/control/$script" | grep -qx '#!/bin/sh' || fail "$script is no shell script"
    sh -n "$work/control/$script"
    grep -q '^set -e$' "$work/control/$script" || fail "$script goes on behind a failure"
done
# Only purging may remove what is stored.
awk '/^(remove|purge)\)/ { state = $1 } /rm -rf/ && state != "purge)" { exit 1 }' "$work/control/postrm" || fail 'removing removes data'
! grep -q 'rm -rf' "$work/control/prerm" "$work/control/postinst" || fail 'an upgrade removes data'

say 'its program, configuration and unit'
dpkg-deb -x "$deb" "$work/root"
skald=$work/root/usr/bin/skald
gzip -dc "$work/root/usr/share/doc/skald/changelog.gz" | grep -F " -- $packager  " > /dev/null || fail 'its changelog names another maintainer'
[ "$("$skald" version)" = "skald $version" ] || fail "the program says: $("$skald" version)"
"$skald" config check "$work/root/etc/skald/skald.yaml" >/dev/null
unit=$work/root/lib/systemd/system/skald.service
grep -qx 'ExecStart=/usr/bin/skald serve --config /etc/skald/skald.yaml' "$unit" || fail "$(grep Exec "$unit")"
! grep -q /usr/local "$unit" || fail 'the unit speaks of /usr/local'
diff <(sed 's|/usr/local/bin/|/usr/bin/|' "$source/deploy/systemd/skald.service") "$unit" || fail 'the unit is another one'
# What the configuration names, the unit's sandbox lets it write.
for folder in $("$skald" config show --config "$work/root/etc/skald/skald.yaml" | awk '$1 == "data" || $1 == "backup.directory" { print $2 }'); do
    grep '^StateDirectory=' "$unit" | grep -qw -- "${folder#/var/lib/}" || fail "the unit does not let it write $folder"
done
"$skald" serve --config "$work/root/etc/skald/skald.yaml" --data "$work/data" --backup.directory "$work/backups" --port 0 >"$work/serve" 2>"$work/errors" &
pid=$!
for _ in $(seq 600); do
    if grep -q '^  page' "$work/serve"; then break; fi
    kill -0 "$pid" 2>/dev/null || fail "the server ended: $(cat "$work/errors")"
    sleep 0.05
done
url=$(sed -n 's|^  page  *\(.*\)/$|\1|p' "$work/serve")
"$skald" publish order.created --stream order-1 --url "$url" | grep 'version 1 of order-1' > /dev/null || fail 'nothing can be published'
kill "$pid"
wait "$pid" || fail "the server ended with $?"
pid=

say 'its manual page and completion'
gzip -dc "$work/root/usr/share/man/man1/skald.1.gz" >"$work/skald.1"
for verb in $("$skald" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
    grep -qx "\.Ss $verb" "$work/skald.1" || fail "the manual page does not tell of $verb"
    for option in $("$skald" "$verb" --help | sed -n 's/^  --\([a-z.-]*\) .*/\1/p'); do
        grep -q "^\.It Fl -$option\( \|$\)" "$work/skald.1" || fail "the manual page does not tell of --$option"
    done
done
if command -v mandoc >/dev/null; then
    mandoc -Tlint -Wwarning "$work/skald.1" >"$work/lint" || fail "mandoc: $(cat "$work/lint")"
else
    echo 'SKIPPED: there is no mandoc: nobody looks at the manual page'
fi
if command -v man >/dev/null; then
    man --warnings -E UTF-8 -l -Tutf8 -Z "$work/skald.1" 2>"$work/lint" >/dev/null || true
    [ ! -s "$work/lint" ] || fail "man: $(cat "$work/lint")"
fi
for shell in bash:bash-completion/completions/skald zsh:zsh/vendor-completions/_skald fish:fish/vendor_completions.d/skald.fish; do
    "$skald" completion "${shell%%:*}" | cmp - "$work/root/usr/share/${shell#*:}"
done

if command -v lintian >/dev/null; then
    say 'lintian'
    # A sanitizer's program is not what is shipped; of the files there is nothing to say.
    lintian --fail-on none "$deb" 2>/dev/null | grep '^E:' | grep -v 'skald: \(unstripped\|hardening\|shared-lib\)' >"$work/lint" || true
    [ ! -s "$work/lint" ] || fail "lintian: $(cat "$work/lint")"
fi
echo "the package is as it should be: $(grep -c '^-' "$work/list") files"
