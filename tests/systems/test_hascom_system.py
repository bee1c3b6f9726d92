# SPDX-License-Identifier: GPL-3.0-or-later
"""HASCom as a system: both parts of a payload, all that can be lost, one phoneme and a minute, the shipped model."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.message import Payload, Received
from gnuradio.semcom.speech import mel
from gnuradio.semcom.speech import phonemes as sounds
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.hascom import modes
from gnuradio.semcom.systems.hascom.codec import STYLE_SYMBOLS, codec, sharpened, silence
from gnuradio.semcom.systems.hascom.content import from_bits, to_bits
from gnuradio.semcom.systems.hascom.system import SYSTEM
from gnuradio.semcom.zoo import available

pytestmark = pytest.mark.skipif("small" not in available("hascom"), reason="no hascom model is installed")


@pytest.fixture(scope="module")
def speech():
    return read_speech(packaged_recordings("weather")).data


@pytest.fixture(scope="module")
def said():
    random = np.random.default_rng(3)
    return random.integers(1, len(sounds.SYMBOLS), 40)


@pytest.fixture(scope="module")
def payload(speech, said):
    return SYSTEM.payload_of(said, speech, Request(model="small"))


def arrived(payload, esn0_db=60.0, bits_ok=None, seed=0):
    noise_var = 10 ** (-esn0_db / 10)
    random = np.random.default_rng(seed)
    size = len(payload.symbols)
    noise = (random.standard_normal(size) + 1j * random.standard_normal(size)) * np.sqrt(noise_var / 2)
    good = np.ones(len(payload.bits), np.bool_) if bits_ok is None else bits_ok
    return Received(
        payload.bits, good, (payload.symbols + noise).astype(np.complex64), np.full(size, noise_var, np.float32)
    )


def decode(received, model="small"):
    return SYSTEM.decode(received, {"kind": "speech"}, model)


def test_the_payload_is_six_bits_a_phoneme_and_64_symbols_of_unit_power(payload, said):
    assert len(payload.bits) == 6 * len(said) and len(payload.symbols) == STYLE_SYMBOLS
    assert payload.bits.dtype == np.uint8 and payload.symbols.dtype == np.complex64
    assert np.mean(np.abs(payload.symbols) ** 2) == pytest.approx(1, rel=1e-3)
    assert from_bits(payload.bits, np.ones(len(payload.bits), np.bool_)).tolist() == said.tolist()


def test_what_arrives_is_spoken_the_same_each_time(payload):
    first, concealed = decode(arrived(payload))
    again, _ = decode(arrived(payload))
    assert concealed == 0 and first.kind == "speech" and first.meta["sample_rate"] == 16_000
    assert first.data.dtype == np.float32 and np.array_equal(first.data, again.data)
    assert 1.0 < first.data.size / 16_000 < 8.0
    assert np.isfinite(first.data).all() and np.sqrt(np.mean(first.data**2)) > 0.01


def test_what_is_spoken_has_the_mel_that_was_solved_for(payload, said, speech):
    coder = codec("small")
    spoken = coder.speak(said, coder.style(speech))
    assert spoken.mel.shape == spoken.mu.shape == (spoken.frames.sum(), mel.BANDS)
    message, _ = decode(arrived(payload))
    heard = mel.log_mel(message.data)
    loud = spoken.mel.mean() - mel.SILENCE
    assert abs(heard.mean() - mel.SILENCE - loud) < 0.35 * loud


def test_the_style_comes_through_10_db_and_falls_gently(speech):
    coder = codec("small")
    style = coder.style(speech)
    other = coder.style(read_speech(packaged_recordings("station")).data)
    payload = Payload(symbols=coder.style_symbols(style))
    cosines = {}
    for esn0_db in (0, 10, 20):
        received = [coder.received_style(arrived(payload, esn0_db, seed=n).symbols) for n in range(20)]
        cosines[esn0_db] = np.mean([coder.style_encoder.cosine(style, r) for r in received])
    assert cosines[10] > 0.95 and cosines[20] > cosines[10] > cosines[0] > 0.8
    assert coder.style_encoder.cosine(style, other) < 0.8
    mean = coder.style_encoder.mean
    assert coder.style_encoder.cosine(style, mean) == pytest.approx(0)


def test_a_failed_block_is_silence_for_its_phonemes_and_the_rest_is_said(payload):
    good = np.ones(len(payload.bits), np.bool_)
    good[90:150] = False  # ten phonemes
    message, concealed = decode(arrived(payload, bits_ok=good))
    assert concealed == 10
    quiet = np.flatnonzero(message.data == 0)
    run = np.split(quiet, np.flatnonzero(np.diff(quiet) > 1) + 1)
    assert max(map(len, run)) >= 10 * 6 * 256 * 0.9
    assert np.sqrt(np.mean(message.data[: 256 * 20] ** 2)) > 1e-3


def test_a_lost_style_is_the_neutral_voice(payload, said):
    for received in (
        Received(payload.bits, np.ones(len(payload.bits), np.bool_)),
        arrived(payload, esn0_db=-30),
        arrived(Payload(payload.bits, payload.symbols * np.complex64(np.nan))),
    ):
        message, concealed = decode(received)
        assert concealed == 1 and np.isfinite(message.data).all() and np.abs(message.data).max() > 0.01


def test_where_both_are_lost_silence_of_the_usual_length_comes(payload, said):
    received = Received(payload.bits, np.zeros(len(payload.bits), np.bool_))
    message, concealed = decode(received)
    assert concealed == len(said) + 1 and message.data.size == silence(len(said)).size and not message.data.any()
    message, concealed = decode(Received())
    assert concealed >= 1 and message.data.size == 3200 and not message.data.any()


def test_a_voice_without_words_is_silence_and_only_the_words_are_flagged(payload, said):
    received = arrived(payload, bits_ok=np.zeros(len(payload.bits), np.bool_))
    message, concealed = decode(received)
    assert concealed == len(said) and message.data.size == silence(len(said)).size and not message.data.any()
    assert len(message.meta["arrived"]["style"]) == 512


@pytest.mark.parametrize("count", [1, 800])
def test_one_phoneme_and_a_minute_are_spoken(count):
    random = np.random.default_rng(0)
    said = random.integers(1, len(sounds.SYMBOLS), count)
    payload = Payload(to_bits(said), codec("small").style_symbols(codec("small").style_encoder.neutral))
    message, concealed = decode(arrived(payload))
    assert concealed == 0 and np.isfinite(message.data).all()
    assert message.data.size > (256 if count == 1 else 16_000 * 50)


def test_silence_is_sent_as_a_pause():
    payload = SYSTEM.payload_of(np.zeros(0, np.int64), np.zeros(16_000, np.float32), Request(model="small"))
    assert len(payload.bits) == 6 and len(payload.symbols) == STYLE_SYMBOLS
    message, concealed = decode(arrived(payload))
    assert concealed == 0 and message.data.size > 0


def test_all_bits_and_all_symbols(said, speech):
    digital = SYSTEM.payload_of(said, speech, Request(model="small-digital"))
    assert len(digital.symbols) == 0 and len(digital.bits) == 144 + 240
    style = codec("small").style(speech)
    phonemes, found = SYSTEM.arrived(arrived(digital), modes.parse("small-digital"), codec("small"))
    assert phonemes.tolist() == said.tolist() and codec("small").style_encoder.cosine(style, found) > 0.95
    analog = SYSTEM.payload_of(said, speech, Request(model="small-analog"))
    assert len(analog.bits) == 0 and len(analog.symbols) == 64 + 240
    phonemes, found = SYSTEM.arrived(arrived(analog, 20.0), modes.parse("small-analog"), codec("small"))
    assert phonemes.tolist() == said.tolist() and codec("small").style_encoder.cosine(style, found) > 0.97


def test_sharpening_widens_what_estimates_flatten():
    frames = np.random.default_rng(0).standard_normal((60, 80)).astype(np.float32) - 6
    np.testing.assert_allclose(sharpened(frames, 1.0, 1.0), frames, atol=1e-4)
    wide = sharpened(frames, 1.0, 1.5)
    np.testing.assert_allclose(wide.std(0), 1.5 * frames.std(0), rtol=1e-3)
    np.testing.assert_allclose(wide.mean(0), frames.mean(0), atol=1e-4)
    steep = sharpened(frames, 2.0, 1.0)
    np.testing.assert_allclose(steep.mean(1), frames.mean(1), atol=1e-4)  # no louder
    assert steep.std(1).mean() > 1.9 * frames.std(1).mean()


def test_names_of_models_say_how_it_is_sent_and_spoken():
    assert modes.parse("") == modes.Mode("small")
    assert modes.parse("small-50").steps == 50 and modes.parse("small").steps == 4
    assert modes.parse("small-digital-7@moonshine") == modes.Mode("small", "digital", 7, reader="moonshine")
    assert modes.parse("small-hifi_gan").vocoder == "hifi_gan"
    for wrong in ("large", "small-0", "small-1001", "small-mp3", "small@nobody", "small-4-5"):
        with pytest.raises(ValueError, match="model|part|recogniser"):
            modes.parse(wrong)


def test_a_request_that_nothing_fits_into_is_answered_with_none(said, speech):
    assert SYSTEM.payload_of(said, speech, Request(model="small", max_bits=100)) is None
    assert SYSTEM.payload_of(said, speech, Request(model="small", max_symbols=63)) is None
    with pytest.raises(ValueError, match="quality"):
        SYSTEM.check(Request(model="small", quality=2))


def test_speech_goes_through_a_link_and_a_recogniser_understands_it():
    from gnuradio.semcom.links import Link
    from gnuradio.semcom.speech import recognisers

    for name in ("whisper", "moonshine"):
        try:
            recognisers.get(name).check_installed()
        except ValueError as error:
            pytest.skip(str(error))
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    link = Link(system="hascom", esn0_db=5.0, judges=False)
    ((received, record),) = link.run([read_speech(packaged_recordings("weather"))])
    assert record["delivered"] and record["blocks_failed"] == 0 and record["bits"] % 6 == 0
    assert record["symbols_total"] > record["bits"] + STYLE_SYMBOLS  # QPSK of rate 1/2: a bit a symbol
    words = recognisers.recognise("moonshine", received.data).split()
    wanted = "the weather report says light rain this evening and a clear sky tomorrow".split()
    assert len(set(words) & set(wanted)) >= 8
