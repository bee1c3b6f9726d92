# SPDX-License-Identifier: GPL-3.0-or-later
"""What `--to` and `--from` take, and what they refuse in one line."""

import pytest

from gnuradio.semcom.radio import places


@pytest.mark.parametrize(
    ("text", "kind", "arguments"),
    [
        ("zmq:tcp://127.0.0.1:5555", "zmq", "tcp://127.0.0.1:5555"),
        ("zmq:ipc:///tmp/air", "zmq", "ipc:///tmp/air"),
        ("udp:127.0.0.1:5000", "udp", "127.0.0.1:5000"),
        ("file:a/b.sigmf-meta", "file", "a/b.sigmf-meta"),
        ("uhd:", "uhd", ""),
        ("uhd:type=b200,serial=1", "uhd", "type=b200,serial=1"),
        ("soapy:driver=hackrf", "soapy", "driver=hackrf"),
    ],
)
def test_a_place_is_a_kind_and_its_arguments(text, kind, arguments):
    place = places.parse(text)
    assert (place.kind, place.arguments, str(place)) == (kind, arguments, text)
    assert place.on_air == (kind in ("uhd", "soapy"))


@pytest.mark.parametrize(
    "text",
    ["", "tcp://127.0.0.1:5555", "zmq:127.0.0.1:5555", "zmq:tcp://127.0.0.1", "zmq:tcp://a:70000", "udp:5000",
     "udp:host:x", "file:a.cf32", "file:.sigmf-meta", "soapy:hackrf", "pluto:"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_was_expected(text):
    with pytest.raises(ValueError, match="expected .*:"):
        places.parse(text)


def test_ipv6_hosts_have_brackets():
    assert places.udp_address("[::1]:4000") == ("::1", 4000)
