#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Proves that a bare Debian 12 with git and make is enough: makes such a root with debootstrap, clones the committed
# state into it and runs `make demo` and `make test` there.
#
#   tools/fresh_check.sh [COMMAND...]      other commands than these two, for example "tools/setup.sh demo"
#
# This machine's package mirror, certificates and pip settings are used inside, with the local wheel folders that
# they name. All mounts live in a mount namespace of their own and end with it; TMPDIR says where the root goes,
# KEEP=1 keeps it; SEMCOM_DATA, if set, is seen inside, read-only.
set -euo pipefail
project=$(readlink -f "$(dirname "$(readlink -f "$0")")/..")
say() { echo "fresh-check: $*" >&2; }

if [ "${FRESH_CHECK_ROOT:-}" = "" ]; then
    # --- outside: a folder and a namespace; both go away whatever happens inside
    [ "$(id -u)" = 0 ] || { say "must run as root (debootstrap and chroot need it)"; exit 2; }
    command -v debootstrap >/dev/null || { say "needs debootstrap: apt-get install debootstrap"; exit 2; }
    [ -z "$(git -C "$project" status --porcelain)" ] || say "uncommitted changes are not part of the check"
    FRESH_CHECK_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/fresh-check.XXXXXX")
    export FRESH_CHECK_ROOT
    if [ -n "${KEEP:-}" ]; then
        trap 'say "kept $FRESH_CHECK_ROOT"' EXIT
    else
        trap 'rm -rf --one-file-system "$FRESH_CHECK_ROOT"' EXIT
    fi
    trap '{ kill -KILL "$inner" && wait "$inner"; } 2>/dev/null; exit 130' INT TERM # the namespace dies with it
    unshare --mount --pid --fork --kill-child --propagation private "$0" "$@" &
    inner=$!
    wait "$inner"
    say "the root took $(du -sh "$FRESH_CHECK_ROOT" | cut -f1)"
    exit
fi

# --- inside the namespace
root=$FRESH_CHECK_ROOT/root
log=$FRESH_CHECK_ROOT/log
mkdir "$root"
began=$SECONDS
timed() { local start=$SECONDS; "${@:2}"; say "$1: $((SECONDS - start)) s"; }

# First mirror of this machine that serves bookworm, in either form of apt's sources
mirror=$(
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true; } |
        awk '$1 == "deb" { sub(/\[[^]]*\] */, ""); if ($3 == "bookworm") print $2 }'
    { cat /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
        awk '/^URIs:/ { uri = $2 } /^Suites:/ && / bookworm( |$)/ { print uri }'
)
mirror=${mirror%%$'\n'*}

bootstrap() { debootstrap --variant=minbase --include=ca-certificates bookworm "$root" $mirror >"$log" 2>&1; }
say "bootstrapping Debian 12"
timed "debootstrap" bootstrap || { tail -n 20 "$log" >&2; exit 1; }

# Proxy settings, certificates, pip settings
for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy* /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf"; do
    [ -f "$file" ] || continue
    to=$root${file/#$HOME//root}
    mkdir -p "$(dirname "$to")"
    cp "$file" "$to"
done
mkdir -p "$root/usr/local/share/ca-certificates"
cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
chroot "$root" update-ca-certificates >/dev/null 2>&1
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt" # with what was added by hand here
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/hosts "$root/etc/hosts"

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
show() { # a folder or file of this machine under the same name inside, read-only
    mkdir -p "$root$(dirname "$1")"
    if [ -d "$1" ]; then mkdir -p "$root$1"; else touch "$root$1"; fi
    mount --bind "$1" "$root$1" && mount -o remount,bind,ro "$root$1"
}

# Local places in pip's settings: folders of wheels, and file:// indexes, whose links lead beside their folder
pip_words=$({ /usr/bin/python3 -m pip config list 2>/dev/null || true; env | grep '^PIP_' || true; } | tr "='\" " '\n')
for word in $pip_words; do
    case $word in
        file://*) place=$(dirname "${word#file://}") ;;
        /*) place=$word ;;
        *) continue ;;
    esac
    if [ "$place" != / ] && [ -d "$place" ] && ! mountpoint -q "$root$place"; then show "$place"; fi
done

variables=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
while IFS= read -r line; do variables+=("$line"); done < <(
    env | grep -iE '^(PIP_[A-Z_]*|[a-z]+_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)=' || true
)
if [ -n "${SEMCOM_DATA:-}" ]; then
    data=$(readlink -f "$SEMCOM_DATA")
    show "$data"
    variables+=("SEMCOM_DATA=$data")
fi
inside() { chroot "$root" env -i "${variables[@]}" bash -c "$1"; }

tools() {
    inside "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends git make" \
        >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
}
timed "git and make" tools
git clone --quiet --no-hardlinks "file://$project" "$root/srv/gr-semcom"

[ $# -gt 0 ] || set -- "make demo" "make test"
for command in "$@"; do
    say "running: $command"
    start=$SECONDS
    inside "cd /srv/gr-semcom && $command" || { say "FAILED after $((SECONDS - start)) s: $command"; exit 1; }
    say "passed: $command: $((SECONDS - start)) s"
done
say "all passed in $((SECONDS - began)) s"
