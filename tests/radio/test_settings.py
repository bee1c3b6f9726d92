# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a radio: from files and options, with limits."""

import argparse
from pathlib import Path

import pytest

from gnuradio.semcom.radio.settings import LIMITS, RadioSettings, add_options, from_arguments, load, number

FOLDER = Path(__file__).resolve().parents[2] / "examples/radio"
FILES = [FOLDER / f"{name}.yml" for name in ("b200", "hackrf", "pluto", "simulated")]


def parsed(direction, *words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, direction)
    return from_arguments(parser.parse_args(words), direction)


@pytest.mark.parametrize(
    ("text", "value"),
    [(868, 868.0), ("868.3e6", 868.3e6), ("868.3M", 868.3e6), ("2.45G", 2.45e9), ("2.45 GHz", 2.45e9), ("-3", -3.0)],
)
def test_numbers_are_read_as_people_write_them(text, value):
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "M", "fast", "1e999", "nan", None, True, [1]])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="number"):
        number(text)


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_named(name):
    low, high, _ = LIMITS[name]
    RadioSettings(**{name: low})
    RadioSettings(**{name: high})
    for wrong in (low - 1, high * 2, float("nan"), "1", True):
        with pytest.raises(ValueError, match=f"{name} must be from {low:g} to {high:g}".replace("+", r"\+")):
            RadioSettings(**{name: wrong})


@pytest.mark.parametrize(
    "wrong",
    [{"channel": -1}, {"channel": 1.0}, {"clock": "sun"}, {"antenna": 3}, {"transmit": 1}, {"assist": "y"}, {"air": 2}],
)
def test_other_fields_are_checked(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must "):
        RadioSettings(**wrong)


@pytest.mark.parametrize("direction", ["tx", "rx"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_loads_and_none_goes_on_air(path, direction):
    settings = load(path, direction)
    assert settings.radio and settings.frequency_hz is None and not settings.transmit
    with pytest.raises(ValueError, match="--transmit and --frequency"):
        settings.need_transmit()


def test_each_direction_has_its_own_gain(tmp_path):
    path = tmp_path / "radio.yml"
    path.write_text("frequency_hz: 868.3e6\ngain_db: 3\ntx: {gain_db: 10, antenna: TX/RX}\nrx: {antenna: RX2}\n")
    tx, rx = load(path, "tx"), load(path, "rx")
    assert (tx.frequency_hz, tx.gain_db, tx.antenna) == (868.3e6, 10.0, "TX/RX")
    assert (rx.frequency_hz, rx.gain_db, rx.antenna) == (868.3e6, 3.0, "RX2")


def test_options_win_over_the_file(tmp_path):
    path = tmp_path / "radio.yml"
    path.write_text("frequency_hz: 868.3e6\nsample_rate_hz: 2e6\ntx: {gain_db: 10}\n")
    settings = parsed("tx", "--radio", str(path), "--gain", "7", "--frequency", "2.45G", "--transmit")
    assert (settings.gain_db, settings.frequency_hz, settings.sample_rate_hz) == (7.0, 2.45e9, 2e6)
    assert settings.need_transmit() == 2.45e9
    assert parsed("rx", "--rate", "500k", "--assist") == RadioSettings(sample_rate_hz=5e5, assist=True)


def test_a_fast_oscillator_is_tuned_lower():
    settings = parsed("rx", "--frequency", "868M", "--correction", "10")
    assert settings.tuned_hz == pytest.approx(868e6 - 8680, abs=0.1)


def test_on_air_only_with_a_word_and_a_frequency():
    for words, lacks in (([], "--transmit and --frequency"), (["--transmit"], "without --frequency"),
                         (["--frequency", "868M"], "without --transmit")):  # fmt: skip
        with pytest.raises(ValueError, match=lacks):
            parsed("tx", *words).need_transmit()
    with pytest.raises(ValueError, match="needs a frequency"):
        parsed("rx").need_frequency()
    assert parsed("rx", "--frequency", "868M").need_frequency() == 868e6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("transmit: true\n", "cannot permit to transmit"),
        ("frequenzy_hz: 1\n", "unknown frequenzy_hz"),
        ("gain_db: loud\n", "gain_db: expected a number"),
        ("gain_db: 1000\n", "gain_db must be from -100 to 120 dB"),
        ("tx: {rate: 3}\n", "tx may have radio, gain_db"),
        ("- 3\n", "expected the settings of a radio"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    path = tmp_path / "radio.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="none.yml.*No such file"):
        load(tmp_path / "none.yml")
    (tmp_path / "image.yml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match="image.yml"):
        load(tmp_path / "image.yml")
