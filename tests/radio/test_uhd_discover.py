# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios that `semcom doctor` lists."""

import pytest

from gnuradio.semcom.radio import discover, uhd
from gnuradio.semcom.radio.settings import RadioError

LISTING = """######################################################
##     Soapy SDR -- the SDR abstraction library     ##
######################################################

Found device 0
  device = HackRF One
  driver = hackrf
  label = HackRF One #0 14d463dc2f2143e1
  serial = 000000000000000014d463dc2f2143e1

Found device 1
  driver = plutosdr
  uri = usb:1.5.5
"""


def test_a_listing_is_read():
    assert discover.soapy_listing(LISTING) == [
        "soapy:driver=hackrf,label=HackRF One #0 14d463dc2f2143e1,serial=000000000000000014d463dc2f2143e1",
        "soapy:driver=plutosdr",
    ]
    assert discover.soapy_listing("No devices found!\n") == []


def test_usrps_are_listed_in_one_line(monkeypatch):
    monkeypatch.setattr(uhd, "find", lambda arguments, timeout_s: ["type=b200,serial=1", "addr=192.168.10.2"])
    assert discover.usrps() == "GNU Radio's blocks are there; uhd:type=b200,serial=1; uhd:addr=192.168.10.2"
    monkeypatch.setattr(uhd, "find", lambda arguments, timeout_s: [])
    assert discover.usrps().endswith("no radio answers")


def test_a_search_that_fails_is_a_line(monkeypatch):
    def fails(arguments, timeout_s):
        raise RadioError("no answer within 20 s")

    monkeypatch.setattr(uhd, "find", fails)
    assert discover.usrps() == "no answer within 20 s"


def test_nothing_is_searched_for_longer_than_its_time(tmp_path, monkeypatch):
    program = tmp_path / "SoapySDRUtil"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    pytest.importorskip("gnuradio.soapy")
    assert discover.soapy_radios(0.05) == "no answer from SoapySDRUtil within 0.05 s"
