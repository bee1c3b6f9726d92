#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Compares our PHY with a package that nobody here wrote: `make cross-check`.
#
# sionna-no-rt needs numpy 2 and GNU Radio 3.10 needs numpy 1, so the package works in an environment of its own,
# build/cross-check-venv (1.3 GB with PyTorch's CPU build), and what it finds is compared in ours. About five minutes.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
venv=build/cross-check-venv
scripts=benchmarks/phy/cross_check
answers=build/cross-check-answers.npz

[ -x .venv/bin/python ] || { echo "cross-check: .venv is missing: run make setup" >&2; exit 2; }
wanted=$({ echo "$PWD"; cat $scripts/requirements.txt; } | sha256sum)
if [ "$(cat $venv/stamp 2>/dev/null)" != "$wanted" ]; then
    echo "cross-check: making $venv (a minute or more)" >&2
    /usr/bin/python3 -m venv --clear $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $scripts/requirements.txt
    echo "$wanted" >$venv/stamp
fi
$venv/bin/python $scripts/answers.py $answers
.venv/bin/python $scripts/compare.py $answers
