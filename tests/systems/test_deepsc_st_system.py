# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped models of DeepSC-ST behind the system's interface."""

from collections.abc import Iterator

import numpy as np
import pytest

from gnuradio.semcom.message import Message, Received, message_text
from gnuradio.semcom.speech.features import symbol_count
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.deepsc_st import SYSTEM
from gnuradio.semcom.text.alphabet import normalise
from gnuradio.semcom.zoo import available

pytestmark = pytest.mark.skipif("domain" not in available("deepsc_st"), reason="no model is installed")


def speech(count: int) -> Message:
    random = np.random.default_rng(count)
    return Message("speech", (0.1 * random.standard_normal(count)).astype(np.float32), {"sample_rate": 16_000})


def over_awgn(symbols: np.ndarray, esn0_db: float, seed: int = 0) -> Received:
    random = np.random.default_rng(seed)
    variance = 10 ** (-esn0_db / 10)
    noise = random.standard_normal((2, symbols.size)) * np.sqrt(variance / 2)
    noisy = (symbols + noise[0] + 1j * noise[1]).astype(np.complex64)
    return Received(symbols=noisy, noise_var=np.full(symbols.size, variance, np.float32))


@pytest.fixture(params=["open", "domain", "domain-greedy"])
def model(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param.removesuffix("-greedy") not in available("deepsc_st"):
        pytest.skip("not installed")
    yield request.param


@pytest.mark.parametrize("count", [1, 100, 16_000, 40_000])
def test_symbols_are_as_many_as_counted_and_of_mean_energy_one(model: str, count: int) -> None:
    payload = SYSTEM.encode(speech(count), Request(model=model, esn0_db=4.0))
    assert payload is not None and payload.symbols is not None
    assert payload.symbols.dtype == np.complex64 and payload.symbols.size == symbol_count(count)
    assert np.mean(np.abs(payload.symbols) ** 2) == pytest.approx(1, abs=1e-3)


def test_what_comes_out_is_text_in_the_alphabet(model: str) -> None:
    payload = SYSTEM.encode(speech(30_000), Request(model=model))
    assert payload is not None
    for esn0_db in (-20.0, 20.0):
        message, concealed = SYSTEM.decode(over_awgn(payload.symbols, esn0_db), {"kind": "speech"}, model)
        text = message_text(message)
        assert message.kind == "text" and concealed == 0 and normalise(text) == text


def test_every_name_stands_for_an_installed_model(model: str) -> None:
    assert model in SYSTEM.models()
    assert set(SYSTEM.variants(model)) <= set(available("deepsc_st"))


def test_silence_and_broken_bursts_are_legal(model: str) -> None:
    quiet = Message("speech", np.zeros(8000, np.float32), {})
    payload = SYSTEM.encode(quiet, Request(model=model))
    assert payload is not None
    for symbols in (payload.symbols, payload.symbols[:7], payload.symbols[:0], np.full(40, np.nan, np.complex64)):
        received = Received(symbols=symbols, noise_var=np.full(symbols.size, 0.1, np.float32))
        assert SYSTEM.decode(received, {"kind": "speech"}, model)[0].kind == "text"


def test_limits_and_bad_requests() -> None:
    assert SYSTEM.encode(speech(16_000), Request(model="domain", max_symbols=519)) is None
    assert SYSTEM.encode(speech(16_000), Request(model="domain", max_symbols=520)) is not None
    with pytest.raises(ValueError, match="unknown model"):
        SYSTEM.check(Request(model="klingon"))
    with pytest.raises(ValueError, match="symbols, no bits"):
        SYSTEM.check(Request(model="domain", max_bits=100))
