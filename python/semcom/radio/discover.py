# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios that answer, for `semcom doctor`; no search takes longer than its time."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess

from .settings import RadioError

TIMEOUT_S = 20.0


def usrps(timeout_s: float = TIMEOUT_S) -> str:
    """USRPs in one line, or why there are none."""
    if importlib.util.find_spec("gnuradio.uhd") is None:
        return "gr-uhd is not installed, only needed for USRPs"
    from . import uhd

    try:
        return _listed([f"uhd:{found}" for found in uhd.find("", timeout_s)])
    except RadioError as error:
        return str(error)


def soapy_radios(timeout_s: float = TIMEOUT_S) -> str:
    """Radios of SoapySDR in one line, or why there are none; its own program is asked."""
    if importlib.util.find_spec("gnuradio.soapy") is None:
        return "gr-soapy is not installed, only needed for HackRF and others"
    program = shutil.which("SoapySDRUtil")
    if program is None:
        return "gr-soapy is installed; SoapySDRUtil, which lists radios, is not (apt install soapysdr-tools)"
    try:
        done = subprocess.run([program, "--find"], capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer from SoapySDRUtil within {timeout_s:g} s"
    return _listed(soapy_listing(done.stdout))


def soapy_listing(text: str) -> list[str]:
    """What `SoapySDRUtil --find` says, as arguments: driver, label and serial number of each radio."""
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        if line.startswith("Found device"):
            found.append({})
        key, equals, value = line.strip().partition(" = ")
        if found and equals and key in ("driver", "label", "serial"):
            found[-1][key] = value
    return ["soapy:" + ",".join(f"{key}={value}" for key, value in sorted(one.items())) for one in found if one]


def _listed(found: list[str]) -> str:
    return "GNU Radio's blocks are there; " + ("; ".join(found) if found else "no radio answers")
