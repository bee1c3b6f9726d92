# SPDX-License-Identifier: GPL-3.0-or-later
"""Text and prosody as analog symbols: the phases of numbers, what is measured of a voice, and the whole system."""

import shutil

import numpy as np
import pytest

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.message import Message, Received
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.prosody import COUNT, NAMES, pitch_hz, prosody, said, speak
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.sc_hest.symbols import SYMBOLS, to_numbers, to_symbols
from gnuradio.semcom.systems.stages import forget_payloads

SPEECH = read_speech(packaged_recordings("weather")).data
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
SYSTEM = registry.get("sc_hest")


class Listener(recognisers.Recogniser):
    """Always reads the same words."""

    name = "whisper"

    def recognise(self, speech):
        return "light rain this evening" if speech.any() else ""


@pytest.fixture
def listener(monkeypatch):
    made, real = Listener(), recognisers.get
    monkeypatch.setattr(recognisers, "get", lambda name, *device: made if name == "whisper" else real(name, *device))
    monkeypatch.setattr(recognisers, "_texts", recognisers._texts.__class__())
    forget_payloads()
    yield made
    forget_payloads()


def harmonics(hz, seconds=1.0):
    time = np.arange(int(16_000 * seconds)) / 16_000
    return sum(np.sin(2 * np.pi * k * hz * time) / k for k in range(1, 12)).astype(np.float32) * 0.1


@pytest.mark.parametrize("hz", [70, 110, 180, 250, 380])
def test_the_pitch_of_a_tone_is_its_frequency(hz):
    found = pitch_hz(harmonics(hz))
    assert found.size > 40 and np.median(found) == pytest.approx(hz, rel=0.02)


def test_noise_has_next_to_no_pitch():
    assert pitch_hz(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)).size < 6


def test_the_numbers_follow_the_voice():
    numbers = dict(zip(NAMES, prosody(SPEECH), strict=True))
    louder = dict(zip(NAMES, prosody(SPEECH * 0.25), strict=True))
    assert numbers["level"] - louder["level"] == pytest.approx(np.log(4) / 1.039, rel=0.02)
    assert louder["pitch"] == pytest.approx(numbers["pitch"], abs=0.02)
    half = dict(zip(NAMES, prosody(np.concatenate([SPEECH, SPEECH])), strict=True))
    assert half["length"] > numbers["length"] + 0.7
    assert not prosody(np.zeros(16_000, np.float32)).any() and prosody(SPEECH[8000:8001]).shape == (COUNT,)


def test_numbers_become_phases_of_unit_energy_and_come_back():
    numbers = np.linspace(-4, 4, COUNT).astype(np.float32)
    symbols = to_symbols(numbers)
    assert symbols.shape == (SYMBOLS,) == (64,) and np.allclose(np.abs(symbols), 1)
    np.testing.assert_allclose(to_numbers(symbols, np.full(64, 1e-9, np.float32)), numbers, atol=1e-4)
    np.testing.assert_allclose(to_numbers(to_symbols(numbers * 9), np.full(64, 1e-9, np.float32)),
                               np.clip(numbers * 9, -4, 4), atol=1e-3)  # fmt: skip


def test_noise_hurts_by_as_much_as_the_phase_of_four_symbols_says():
    random = np.random.default_rng(1)
    noise_var, errors = 0.05, []
    for _ in range(300):
        numbers = random.normal(0, 1, COUNT).astype(np.float32)
        noise = random.normal(0, np.sqrt(noise_var / 2), (64, 2)).view(complex)[:, 0]
        received = (to_symbols(numbers) + noise).astype(np.complex64)
        errors.append(to_numbers(received, np.full(64, noise_var, np.float32)) - numbers)
    expected = (4 / (0.75 * np.pi)) ** 2 * noise_var / (2 * 4)  # variance of the phase of the sum of four
    assert np.mean(np.square(errors)) == pytest.approx(expected, rel=0.15)


def test_symbols_of_which_nothing_is_known_are_the_mean():
    symbols = to_symbols(np.full(COUNT, 2.0)).copy()
    assert np.abs(to_numbers(symbols, np.full(64, 1e6, np.float32))).max() < 1e-3
    symbols[:] = np.nan
    assert not to_numbers(symbols, np.ones(64, np.float32)).any()


@needs_flite
def test_the_voice_says_a_text_at_the_pitch_pace_and_level_it_is_told():
    numbers = np.zeros((3, COUNT), np.float32)
    numbers[1:, :4] = (-1.2, 0, 0.3, -0.5), (0.8, 0, 0.9, 0.5)
    mean, low, slow = (speak("the weather is fine this evening and so are we", n) for n in numbers)
    assert np.median(pitch_hz(low)) < 0.8 * np.median(pitch_hz(mean)) < 0.8 * np.median(pitch_hz(slow))
    assert said(slow).size > 1.2 * said(low).size and slow.std() > 1.5 * low.std()
    assert speak("", numbers[0]).size == 3200 and not speak("...", numbers[0]).any()


@needs_flite
def test_text_and_style_arrive_and_are_measured(listener):
    message = Message("speech", SPEECH, {"name": "weather", "transcript": "light rain this evening"})
    link = Link("sc_hest", "whisper", esn0_db=15.0, seed=1, judges=False)
    ((received, record),) = link.run([message])
    assert received.meta["text"] == record["text"] == "light rain this evening" and record["delivered"]
    assert record["symbols_total"] == 64 + 8 * len(record["text"]) and record["bits"] == 0
    assert record["metrics"]["style_cosine"] > 0.97 and record["metrics"]["feature_mse"] < 0.05
    assert received.kind == "speech" and received.data.size > 8000
    ((other, second),) = link.run_flowgraph([message], timeout_s=60)
    np.testing.assert_array_equal(received.data, other.data)
    assert {**record, "elapsed_s": 0} == {**second, "elapsed_s": 0}
    ((_, worse),) = Link("sc_hest", "whisper", esn0_db=-8.0, seed=1, judges=False).run([message])
    assert worse["metrics"]["style_cosine"] < 0.9 and worse["metrics"]["wer"] > 0


@needs_flite
@pytest.mark.parametrize("size", [0, 1, 63, 64, 70])
def test_a_burst_of_any_length_is_a_message(listener, size):
    received = Received(symbols=np.ones(size, np.complex64), noise_var=np.ones(size, np.float32))
    message, concealed = SYSTEM.decode(received, {})
    assert concealed == (size < 64) and not message.data.any() and message.meta["text"] == ""


def test_a_style_that_never_came_scores_nothing():
    metrics = SYSTEM.compare(Message("speech", SPEECH), {})
    assert metrics["style_cosine"] == 0
    assert metrics["feature_mse"] == pytest.approx(float(np.mean(np.square(prosody(SPEECH)))))


@needs_flite
def test_an_airtime_that_is_too_short_is_told(listener):
    message = Message("speech", SPEECH, {"name": "weather"})
    ((_, record),) = Link("sc_hest", "whisper", airtime=100, judges=False).run([message])
    assert record["reason"] == "does_not_fit"
    with pytest.raises(ValueError, match="limit it in symbols"):
        SYSTEM.check(Request(model="whisper", max_bits=10))
