# SPDX-License-Identifier: GPL-3.0-or-later
"""Conventional speech codecs: what comes back, at which rate, and what a lost frame does."""

import subprocess
import sys

import numpy as np
import pytest

from gnuradio.semcom.codecs.speech_codec import CODECS, get_speech_codec
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.message import Message, Received
from gnuradio.semcom.phy import segmentation
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request

SPEECH = read_speech(packaged_recordings("weather")).data[:48_000]


def usable(name):
    try:
        get_speech_codec(name).check_installed()
    except ValueError as error:
        return pytest.param(name, marks=pytest.mark.skip(reason=str(error)))
    return name


ALL = [usable(name) for name in CODECS]
RATES = {  # of the standards: 3GPP TS 26.171, codec2.h, and what we ask libopus for
    "amr_wb": [6.6, 8.85, 12.65, 14.25, 15.85, 18.25, 19.85, 23.05, 23.85],
    "codec2": [0.45, 0.7, 1.2, 1.3, 1.4, 1.6, 2.4, 3.2],
    "opus": [6, 8, 10, 12, 16, 24],
}


def envelope(speech):
    """Amplitude over 20 ms, without its mean."""
    smooth = np.convolve(np.abs(speech), np.ones(320) / 320, "same")
    return smooth - smooth.mean()


def alike(first, second, shift=0):
    """Correlation of envelopes; `second` comes `shift` samples later."""
    length = min(first.size, second.size - shift)
    a, b = envelope(first[:length]), envelope(second[shift : shift + length])
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("name", ALL)
def test_every_mode_has_the_rate_of_its_standard_and_gives_the_speech_back_in_step(name):
    codec = get_speech_codec(name)
    for mode, rate in enumerate(RATES[name]):
        bits = codec.encode(SPEECH, mode)
        assert bits.dtype == np.uint8 and set(np.unique(bits)) <= {0, 1}
        assert bits.shape == (codec.frame_count(SPEECH.size, mode), codec.frame_bits(mode))
        seconds = len(bits) * codec.frame_samples(mode) / 16_000
        assert bits.size / seconds / 1000 == pytest.approx(rate, rel=2e-3)
        found = codec.decode(bits, mode, np.zeros(len(bits), bool))
        assert found.size == len(bits) * codec.frame_samples(mode) and np.abs(found).max() <= 1
        assert alike(SPEECH, found) > (0.6 if rate < 1 else 0.8), (mode, rate)
        assert 0.6 < found.std() / SPEECH.std() < 1.6


def test_codec2_repeats_itself_where_others_have_its_library_loaded_for_all(tmp_path):
    codec = get_speech_codec("codec2")
    try:
        codec.check_installed()
    except ValueError as error:
        pytest.skip(str(error))
    bits = codec.encode(SPEECH, 3)
    program = (
        "import ctypes, numpy as np\n"
        "ctypes.CDLL('libcodec2.so.1.0', mode=ctypes.RTLD_GLOBAL)\n"
        "from gnuradio.semcom.codecs.speech_codec import get_speech_codec\n"
        "bits = np.load('bits.npy'); lost = np.zeros(len(bits), bool); codec = get_speech_codec('codec2')\n"
        "np.save('out.npy', [codec.decode(bits, 3, lost) for _ in range(2)])\n"
    )
    np.save(tmp_path / "bits.npy", bits)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=100)
    first, second = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, codec.decode(bits, 3, np.zeros(len(bits), bool)))


@pytest.mark.parametrize("name", ALL)
def test_the_same_bits_always_give_the_same_samples(name):
    codec = get_speech_codec(name)
    for mode in (0, codec.default_mode):
        bits = codec.encode(SPEECH, mode)
        none = np.zeros(len(bits), bool)
        first = codec.decode(bits, mode, none)
        codec.decode(bits[::-1].copy(), mode, none)  # must leave nothing behind
        np.testing.assert_array_equal(first, codec.decode(bits, mode, none))
        np.testing.assert_array_equal(bits, codec.encode(SPEECH, mode))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("samples", [1, 319, 960, 961])
def test_speech_of_any_length_and_silence_have_a_frame(name, samples):
    codec = get_speech_codec(name)
    mode = codec.default_mode
    for speech in (SPEECH[8000 : 8000 + samples], np.zeros(samples, np.float32), np.ones(samples, np.float32)):
        bits = codec.encode(speech, mode)
        found = codec.decode(bits, mode, np.zeros(len(bits), bool))
        assert samples <= found.size < samples + 2 * codec.frame_samples(mode) and np.isfinite(found).all()


@pytest.mark.parametrize("name", ALL)
def test_lost_frames_are_concealed_and_all_of_them_are_nearly_silence(name):
    codec = get_speech_codec(name)
    mode = codec.default_mode
    bits = codec.encode(SPEECH, mode)
    lost = np.zeros(len(bits), bool)
    lost[10] = True
    bits[10] = 1 - bits[10]  # what a failed block leaves there is not looked at
    one = codec.decode(bits, mode, lost)
    bits[10] = 0
    np.testing.assert_array_equal(one, codec.decode(bits, mode, lost))
    assert alike(SPEECH, one) > 0.7
    nothing = codec.decode(bits, mode, np.ones(len(bits), bool))
    assert nothing.size == one.size and nothing[nothing.size // 2 :].std() < 0.02


@pytest.mark.parametrize("name", ALL)
def test_bits_of_noise_are_some_sound_and_no_exception(name):
    codec = get_speech_codec(name)
    random = np.random.default_rng(1)
    for mode in range(len(codec.rates_kbit_s)):
        bits = random.integers(0, 2, (30, codec.frame_bits(mode)), dtype=np.uint8)
        found = codec.decode(bits, mode, np.zeros(30, bool))
        assert found.size == 30 * codec.frame_samples(mode) and np.isfinite(found).all() and np.abs(found).max() <= 1


@pytest.mark.parametrize("name", ALL)
def test_a_mode_that_is_not_there_is_refused_with_those_that_are(name):
    codec = get_speech_codec(name)
    for mode in (-1, len(RATES[name])):
        with pytest.raises(ValueError, match=f"mode of {name} must be 0 to .* kbit/s"):
            codec.encode(SPEECH, mode)
    with pytest.raises(ValueError, match=f"quality of {name} must be 0 to"):
        registry.get(name).check(Request(quality=99))


def test_an_unknown_codec_is_refused():
    with pytest.raises(ValueError, match="expected one of amr_wb, codec2, opus"):
        get_speech_codec("speex")


@pytest.mark.parametrize("name", ALL)
def test_a_codec_is_a_system_whose_best_mode_fits_the_airtime(name):
    system, message = registry.get(name), Message("speech", SPEECH, {"name": "x"})
    assert (system.kind, system.delivered_kind, system.payload, system.models()) == ("speech", "speech", "bits", [])
    codec = get_speech_codec(name)
    sizes = [codec.frame_count(SPEECH.size, m) * codec.frame_bits(m) for m in range(len(codec.rates_kbit_s))]
    assert system.encode(message, Request()).bits.size == sizes[codec.default_mode]
    for limit in (sizes[0], sizes[1] + 1, 10**6):
        best = max(m for m, size in enumerate(sizes) if size <= limit and limit >= min(sizes))
        assert system.encode(message, Request(max_bits=limit)).bits.size == sizes[best]
    assert system.encode(message, Request(quality=0, max_bits=10**6)).bits.size == sizes[0]
    assert system.encode(message, Request(max_bits=min(sizes) - 1)) is None


@pytest.mark.parametrize("name", ALL)
def test_a_codec_over_a_link_arrives_whole_above_the_threshold_and_concealed_below(name):
    message = Message("speech", SPEECH, {"name": "x"})
    link = {"mcs": "qpsk-1/2", "quality": 0, "judges": False, "seed": 2}
    ((good, record),) = Link(name, esn0_db=4.0, **link).run([message])
    assert record["delivered"] and record["concealed"] == 0 and alike(SPEECH, good.data) > 0.6
    assert record["symbols_payload"] == record["bits"]  # QPSK 1/2: a bit a symbol
    direct = list(Link(name, esn0_db=-0.5, **link).run([message]))
    graph = list(Link(name, esn0_db=-0.5, **link).run_flowgraph([message], timeout_s=60))
    ((bad, record), (other, second)) = *direct, *graph
    np.testing.assert_array_equal(bad.data, other.data)
    assert {**record, "elapsed_s": 0} == {**second, "elapsed_s": 0}
    assert not record["delivered"] and record["reason"] == "channel" and record["concealed"] > 0


@pytest.mark.parametrize("name", ALL)
def test_an_airtime_below_the_slowest_mode_is_a_message_that_does_not_fit(name):
    ((received, record),) = Link(name, airtime=60, judges=False).run([Message("speech", SPEECH, {"name": "x"})])
    assert record["reason"] == "does_not_fit" and not record["delivered"] and not received.data.any()
    assert segmentation.largest_payload(60, "16qam-1/3") < 100


@pytest.mark.parametrize("name", ALL)
def test_blocks_that_failed_mark_all_frames_they_touch(name):
    system, message = registry.get(name), Message("speech", SPEECH, {"name": "x"})
    payload = system.encode(message, Request(quality=0))
    width = get_speech_codec(name).frame_bits(0)
    good = np.ones(payload.bits.size, bool)
    good[2 * width - 1 : 4 * width + 1] = False  # frames 1, 2, 3 and 4
    received, concealed = system.decode(Received(bits=payload.bits, bits_ok=good), dict(payload.header))
    assert concealed == 4 and received.meta["sample_rate"] == 16_000 and "text" not in received.meta
