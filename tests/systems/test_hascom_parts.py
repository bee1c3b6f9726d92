# SPDX-License-Identifier: GPL-3.0-or-later
"""HASCom's parts: networks of the paper's size, diffusion in closed form, alignment search, bits of phonemes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gnuradio.semcom.speech import phonemes as sounds
from gnuradio.semcom.systems.hascom import alignment, content, forward
from gnuradio.semcom.systems.hascom.level import LEVEL, levelled


def test_the_papers_networks_have_the_published_parameter_counts():
    pytest.importorskip("torch")
    from gnuradio.semcom.speech.vocoder.hifi_gan import generator
    from gnuradio.semcom.systems.hascom.network import parameter_count
    from gnuradio.semcom.systems.hascom.paper import PaperHascom
    from gnuradio.semcom.systems.hascom.style_network import StyleJscc

    model, jscc = PaperHascom(), StyleJscc()
    found = {
        "encoder": model.encoder, "durations": model.encoder.durations, "u-net": model.unet, "time": model.unet.time,
        "style": model.unet.style, "jscc encoder": jscc.encoder, "jscc decoder": jscc.decoder, "vocoder": generator(),
    }  # fmt: skip
    assert {name: parameter_count(part) for name, part in found.items()} == {
        "encoder": 7_200_145, "durations": 345_857, "u-net": 8_685_959, "time": 82_432, "style": 197_120,
        "jscc encoder": 426_880, "jscc decoder": 427_264, "vocoder": 13_926_017,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("t", "rho", "delta"),
    [(0.01, 0.99925, 0.03868), (0.1, 0.94897, 0.31536), (0.25, 0.72763, 0.68597), (0.5, 0.28383, 0.95887),
     (0.75, 0.05936, 0.99824), (1.0, 0.0066542, 0.99997786)],
)  # fmt: skip
def test_signal_and_noise_at_a_time(t, rho, delta):
    assert forward.rho(t) == pytest.approx(rho, rel=1e-3)
    assert forward.delta(t) == pytest.approx(delta, rel=2e-3)


def test_the_closed_form_is_the_stochastic_equation_taken_in_small_steps():
    random = np.random.default_rng(0)
    clean, mu, steps, stop = -0.7, 1.5, 400, 0.4
    x = np.full(40_000, clean)
    width = stop / steps
    for number in range(steps):
        beta = forward.beta((number + 0.5) * width)
        x += 0.5 * beta * (mu - x) * width + np.sqrt(beta * width) * random.standard_normal(x.size)
    closed = forward.noised(clean, mu, random.standard_normal(x.size), stop)
    assert x.mean() == pytest.approx(closed.mean(), abs=0.02)
    assert x.std() == pytest.approx(closed.std(), rel=0.02)


MEAN, DEVIATION, MU = -0.7, 0.3, 1.5


def exact_noise(x, t):
    """The noise expected in X_t of data N(-0.7, 0.3^2): minus delta times the score."""
    rho, delta = forward.rho(t), forward.delta(t)
    variance = (rho * DEVIATION) ** 2 + delta**2
    return delta * (x - (rho * MEAN + (1 - rho) * MU)) / variance


@pytest.mark.parametrize(("steps", "mean", "deviation"), [(50, -0.714, 0.285), (1000, -0.697, 0.299)])
def test_the_reverse_equation_ends_at_the_data(steps, mean, deviation):
    start = MU + np.random.default_rng(0).standard_normal(100_000)
    found = forward.euler(start, np.full_like(start, MU), exact_noise, steps)
    assert found.mean() == pytest.approx(mean, abs=0.004)
    assert found.std() == pytest.approx(deviation, abs=0.004)


def test_the_equation_as_printed_diverges_where_noise_stands_for_the_score():
    x = MU + np.random.default_rng(0).standard_normal(1000)
    for number in range(50):
        t = 1 - (number + 0.5) / 50
        x = x - 0.5 / 50 * forward.beta(t) * ((MU - x) - exact_noise(x, t))
    assert x.std() > 9000


def test_the_temperature_narrows_what_comes_out():
    start = MU + np.random.default_rng(0).standard_normal(100_000) / 1.3
    found = forward.euler(start, np.full_like(start, MU), exact_noise, 50)
    assert found.std() == pytest.approx(0.221, abs=0.004)


def test_four_steps_of_the_multistep_solver_come_near():
    start = MU + np.random.default_rng(0).standard_normal(100_000)
    mu = np.full_like(start, MU)
    few = forward.multistep(start, mu, exact_noise, 4)
    assert few.mean() == pytest.approx(MEAN, abs=0.02)
    assert abs(few.mean() - MEAN) < 0.2 * abs(forward.euler(start, mu, exact_noise, 4).mean() - MEAN)
    many = forward.multistep(start, mu, exact_noise, 200)
    assert many.mean() == pytest.approx(MEAN, abs=0.005) and many.std() == pytest.approx(DEVIATION, abs=0.01)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_steps_have_a_range(steps):
    with pytest.raises(ValueError, match="1 to 1000"):
        forward.euler(np.zeros(2), np.zeros(2), exact_noise, steps)


def best_by_trying(scores, skippable):
    """Frames of each state by going through all monotonic paths."""
    states, frames = scores.shape
    best, found = -np.inf, None
    for ends in itertools.combinations_with_replacement(range(frames + 1), states - 1):
        counts = np.diff([0, *ends, frames])
        if all(c > 0 or free for c, free in zip(counts, skippable, strict=True)):
            skipped = np.flatnonzero(counts == 0)
            if np.any(np.diff(skipped) == 1):
                continue  # two in a row are never left out
            total = scores[np.repeat(np.arange(states), counts), np.arange(frames)].sum()
            if total > best:
                best, found = total, counts
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_the_best_path(seed):
    random = np.random.default_rng(seed)
    states, frames = int(random.integers(1, 6)), int(random.integers(6, 9))
    scores = random.standard_normal((states, frames))
    skippable = (np.arange(states) % 2 == seed % 2) & (random.random(states) < 0.7)
    if states == 1:
        skippable[:] = False
    assert alignment.search(scores, skippable).tolist() == best_by_trying(scores, skippable).tolist()


def test_the_search_needs_a_frame_for_each_state():
    with pytest.raises(ValueError, match="too few"):
        alignment.search(np.zeros((5, 4)))
    assert alignment.search(np.zeros((4, 4))).tolist() == [1, 1, 1, 1]


def test_an_aligner_finds_the_bounds_of_sounds_that_it_was_told_only_the_order_of():
    random = np.random.default_rng(0)
    spectra = random.standard_normal((8, 80)) * 2
    mels, texts, optional, wanted = [], [], [], []
    for _ in range(40):
        text = random.permutation(np.arange(1, 8))[:5]
        frames = random.integers(4, 15, 5)
        mels.append((spectra[np.repeat(text, frames)] + random.standard_normal((frames.sum(), 80))).astype(np.float32))
        texts.append(text)
        wanted.append(frames)
        optional.append(np.zeros(5, np.bool_))
    aligner = alignment.fit(mels, texts, optional, 8)
    found = [aligner.align(m, t, o) for m, t, o in zip(mels, texts, optional, strict=True)]
    assert np.abs(np.cumsum(found, 1) - np.cumsum(wanted, 1)).mean() < 0.5


def test_phonemes_of_words_with_stress_and_pauses():
    if sounds.shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    assert sounds.spelled(sounds.phonemes("The cat sat, no?")) == "ð ə k ˈæ t s ˈæ t _ n ˈoʊ"
    assert len(sounds.phonemes("")) == 0 and len(sounds.phonemes(" ... ")) == 0
    assert sounds.phonemes("Umlaut: Müller, Ünal; 42 + x = £3!").max() < len(sounds.SYMBOLS)


def test_sounds_put_together_of_two_are_taken_apart():
    assert sounds.spelled(sounds.flat([*map(sounds.parsed, ["f_ˈaɪɚ d_ˈɔːɹ", "l_ˈɪ_ɾ_əl"])])) == (
        "f ˈaɪ ɚ d ˈɔː ɹ _ l ˈɪ ɾ ə l"
    )


def test_six_bits_hold_every_phoneme_and_failed_blocks_lose_only_theirs():
    assert len(sounds.SYMBOLS) <= 1 << sounds.BITS
    sent = np.arange(len(sounds.SYMBOLS))
    bits = content.to_bits(sent)
    good = np.ones(len(bits), np.bool_)
    assert bits.dtype == np.uint8 and content.from_bits(bits, good).tolist() == sent.tolist()
    good[13] = False
    assert np.flatnonzero(content.from_bits(bits, good) == content.LOST).tolist() == [2]
    assert content.from_bits(np.ones(12, np.uint8), np.ones(12, np.bool_)).tolist() == [sounds.PAUSE] * 2


@pytest.mark.parametrize("gain", [0.01, 1.0, 5.0])
def test_speech_of_any_level_is_brought_to_one(gain):
    speech = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * np.float32(0.1 * gain)
    speech[:8000] = 0
    assert np.sqrt(np.mean(levelled(speech)[8000:] ** 2)) == pytest.approx(LEVEL, rel=0.02)
    assert np.array_equal(levelled(np.zeros(500, np.float32)), np.zeros(500, np.float32))
    assert levelled(np.zeros(0, np.float32)).size == 0
