# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech-to-text networks: the paper's parameters part by part, padding, attention, the loop."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnuradio.semcom.systems.speech_to_text.network import (  # noqa: E402
    SIZES,
    SpeechToText,
    make,
    parameter_count,
    unit_energy,
)
from gnuradio.semcom.text.vocabulary import EOS, PAD  # noqa: E402

TINY = replace(
    SIZES["small"], channels=(3, 4), hidden=6, attention=5, location=(2, 7), decoder=8, embedding=4, channel=9,
    symbols=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return make("paper", 15_000)


def tiny(seed=0, size=TINY, classes=11):
    torch.manual_seed(seed)
    return SpeechToText(size, classes).eval()


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("vgg", 260_160), ("blstm", 37_794_816), ("attention", 466_711), ("lstm", 4_198_400), ("embedding", 7_681_536),
        ("removal", 7_696_539), ("channel_encoder", 393_984), ("channel_decoder", 394_240),
        ("semantic_decoder", 7_696_539),
    ],
)  # fmt: skip
def test_each_part_of_the_papers_network_has_its_parameters(paper, part, count):
    assert parameter_count(getattr(paper, part)) == count


def test_the_papers_network_has_66582925_parameters(paper):
    assert parameter_count(paper) == 66_582_925
    assert parameter_count(*paper.encoder_modules()) == 58_098_162


def test_parts_of_parts(paper):
    assert [parameter_count(c) for c in paper.vgg.convolutions] == [1_792, 36_928, 73_856, 147_584]
    assert [parameter_count(layer) for layer in paper.blstm.layers] == [7_348_224] + [6_299_648] * 4
    assert [parameter_count(layer) for layer in paper.blstm.projections] == [1_049_600] * 5
    attention = paper.attention
    found = [attention.query, attention.key, attention.location, attention.location_projection, attention.energy]
    assert [parameter_count(layer) for layer in found] == [153_900, 307_500, 2_010, 3_000, 301]
    assert [parameter_count(c.first) for c in (paper.channel_encoder, paper.channel_decoder)] == [262_656, 131_584]
    assert [parameter_count(c.second) for c in (paper.channel_encoder, paper.channel_decoder)] == [131_328, 262_656]


def test_ten_seconds_are_32_states_and_a_word_128_complex_symbols(paper):
    states, lengths, _ = paper.states(torch.empty(1, 998, 40, 3, device="meta"))
    assert states.shape == (1, 32, 1024) and lengths is None
    assert paper.send(torch.empty(1, 5, 512, device="meta"), torch.empty(1, 5, 128, device="meta")).shape == (1, 5, 256)


def test_a_vocabulary_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="room for 15000 words"):
        make("paper", 15_001)


def test_padding_changes_nothing():
    model = tiny()
    lengths = torch.tensor([29, 50, 33])
    frames = torch.zeros(3, 50, 40, 3)
    for row, length in zip(frames, lengths, strict=True):
        row[:length] = torch.randn(int(length), 40, 3)
    targets = torch.tensor([[3, 4, EOS, PAD], [5, 6, 7, EOS], [8, EOS, PAD, PAD]])
    with torch.no_grad():
        together, counts, _ = model.states(frames, lengths)
        logits, vectors, weights = model.teach(together, counts, targets)
        for number, length in enumerate(lengths.tolist()):
            alone, none, _ = model.states(frames[number : number + 1, :length])
            size = alone.shape[1]
            assert none is None and size == counts[number]
            assert torch.allclose(together[number, :size], alone[0], atol=1e-5)
            one = model.teach(alone, torch.tensor([size]), targets[number : number + 1])
            assert torch.allclose(logits[number], one[0][0], atol=1e-5)
            assert torch.allclose(vectors[number], one[1][0], atol=1e-5)
            assert torch.allclose(weights[number, :, :size], one[2][0], atol=1e-5)
            assert (weights[number, :, size:] == 0).all()


def test_attention_is_the_papers_formula():
    model = tiny(1)
    a = model.attention
    states, h = torch.tanh(torch.randn(1, 9, 12)), torch.randn(1, 8)
    before = torch.rand(1, 9).softmax(-1)
    with torch.no_grad():
        context, weights = a(states, a.keys(states), h, before)
        padded = np.pad(before[0].numpy(), 3)
        kernels = a.location.weight[:, 0].numpy()
        energies = []
        for t in range(9):
            location = kernels @ padded[t : t + 7]
            inner = (
                np.tanh(a.key.weight.numpy() @ states[0, t].numpy() + a.key.bias.numpy())
                + np.tanh(a.query.weight.numpy() @ h[0].numpy() + a.query.bias.numpy())
                + np.tanh(a.location_projection.weight.numpy() @ location)
            )
            energies.append(float(a.energy.weight.numpy()[0] @ np.tanh(inner) + a.energy.bias.numpy()[0]))
    powers = np.exp(np.array(energies) / 0.5)
    assert weights[0].numpy() == pytest.approx(powers / powers.sum(), abs=1e-5)
    assert context[0].numpy() == pytest.approx((powers / powers.sum()) @ states[0].numpy(), abs=1e-5)


def test_the_loop_on_its_own_is_the_taught_one_along_its_own_words():
    model = tiny(2)
    states = torch.tanh(torch.randn(2, 12, 12))
    lengths = torch.tensor([12, 7])
    ids, vectors = model.hear(states, lengths, 6)
    with torch.no_grad():
        logits, taught, _ = model.teach(states, lengths, ids)
    for row in range(2):
        count = ids[row].tolist().index(EOS) + 1 if EOS in ids[row] else 6
        assert logits[row, :count].argmax(-1).tolist() == ids[row, :count].tolist()
        assert torch.allclose(vectors[row, :count], taught[row, :count], atol=1e-5)


def test_the_first_word_follows_the_start_symbol_eos_and_uniform_attention():
    model = tiny(3)
    states = torch.tanh(torch.randn(1, 5, 12))
    with torch.no_grad():
        logits, _, _ = model.teach(states, torch.tensor([5]), torch.tensor([[3]]))
        zero, even = torch.zeros(1, 8), torch.full((1, 5), 0.2)
        first, *_ = model.step(states, model.attention.keys(states), torch.tensor([EOS]), zero, zero, even)
    assert torch.allclose(logits[:, 0], first, atol=1e-6)


def test_symbols_that_are_sent_have_mean_energy_1_and_the_others_none():
    sent = torch.zeros(2, 3, 4)
    sent[0, :, :2], sent[1, 0] = 1, 1
    values = unit_energy(torch.randn(2, 3, 8), sent)
    energy = values.view(2, 3, 4, 2).square().sum(-1)
    assert torch.allclose((energy * sent).sum((1, 2)) / sent.sum((1, 2)), torch.ones(2), atol=1e-5)
    assert (energy * (1 - sent) == 0).all()
