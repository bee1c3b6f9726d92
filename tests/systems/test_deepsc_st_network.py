# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameter counts, padding, energy and export of the networks of DeepSC-ST."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnuradio.semcom.speech.features import frame_count, output_frames  # noqa: E402
from gnuradio.semcom.speech.recurrent import BidirectionalGru  # noqa: E402
from gnuradio.semcom.systems.deepsc_st import export, tacotron2  # noqa: E402
from gnuradio.semcom.systems.deepsc_st.network import (  # noqa: E402
    SIZES,
    DeepScSt,
    PaperDecoder,
    PaperEncoder,
    Recogniser,
    Size,
    parameter_count,
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)


def small() -> DeepScSt:
    model = DeepScSt("small").eval()
    for name, buffer in model.named_buffers():  # statistics that are not those of a new network
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.3)
        elif name.endswith("running_var"):
            buffer.uniform_(0.3, 2)
    return model


def test_the_papers_network_has_the_papers_number_of_parameters() -> None:
    with torch.device("meta"):
        model = DeepScSt("paper")
    assert parameter_count(model) == 85_796_042
    assert parameter_count(model.recogniser) == 85_788_733
    assert parameter_count(PaperEncoder()) + parameter_count(PaperDecoder()) == 7_309


def test_six_recurrent_layers_would_be_the_papers_text_and_not_its_table() -> None:
    paper = SIZES["paper"]
    with torch.device("meta"):
        six = Recogniser(Size(paper.bands, paper.convolutions, paper.hidden, 6, False))
    assert parameter_count(six) == 74_255_933


def test_the_small_network_is_between_half_a_million_and_six_million() -> None:
    assert 500_000 < parameter_count(DeepScSt("small")) < 6_000_000


@pytest.mark.parametrize("samples", [160, 16_000, 16_159, 52_345])
def test_a_network_gives_as_many_frames_as_are_counted(samples: int) -> None:
    frames = frame_count(samples)
    with torch.no_grad():
        logits, _ = small().recogniser(torch.randn(1, frames, 40))
    assert logits.shape == (1, output_frames(frames), 29)


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(training: bool) -> None:
    model = small().train(training)
    lengths = torch.tensor([61, 200, 133])
    frames = torch.randn(3, 200, 40)
    noise_var, noise = torch.rand(3, 50, 20), torch.randn(3, 50, 40)

    def run(rows: torch.Tensor, count: torch.Tensor, padded: int) -> list[torch.Tensor]:
        shaped = torch.zeros(len(rows), padded, 40)  # padding is 0, as in `make_batch`
        shaped[:, : rows.shape[1]] = rows
        for row, n in zip(shaped, count, strict=True):
            row[n:] = 0
        logits, out = model.recogniser(shaped, count)
        size = logits.shape[1]
        variance, drawn = torch.ones(len(rows), size, 20), torch.zeros(len(rows), size, 40)
        same = min(size, 50)
        variance[:, :same], drawn[:, :same] = noise_var[: len(rows), :same], noise[: len(rows), :same]
        received = model.over_channel(logits.softmax(-1), out, torch.full((len(rows),), 5.0), variance, drawn)
        return [torch.cat([a[:n], b[:n]], 1) for a, b, n in zip(logits, received, out, strict=True)]

    with torch.no_grad():
        for left, right in zip(run(frames, lengths, 200), run(frames, lengths, 260), strict=True):
            assert torch.allclose(left, right, atol=1e-4)
        if not training:
            alone = run(frames[:1, :61], lengths[:1], 61)[0]
            assert torch.allclose(alone, run(frames, lengths, 200)[0], atol=1e-4)
            plain, _ = model.recogniser(frames[:1, :61])
            assert torch.allclose(plain[0], alone[:, :29], atol=1e-4)


def test_the_recurrent_layer_is_that_of_packed_sequences() -> None:
    layer = BidirectionalGru(6, 5)
    x, lengths = torch.randn(3, 9, 6, requires_grad=True), torch.tensor([4, 9, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    wanted, _ = torch.nn.utils.rnn.pad_packed_sequence(torch.nn.GRU.forward(layer, packed)[0], batch_first=True)
    found = layer(x, lengths)
    assert torch.allclose(found, wanted, atol=1e-6)
    weights = torch.randn_like(found)
    both = [torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()]) for y in (found, wanted)]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*both, strict=True))


@pytest.mark.parametrize("preset", ["small", "paper"])
def test_sent_pairs_have_mean_energy_one(preset: str) -> None:
    encoder = small().encoder if preset == "small" else PaperEncoder()
    probabilities = torch.randn(2, 26, 29).softmax(-1)
    with torch.no_grad():
        values = encoder(probabilities, torch.tensor([-5.0, 15.0]))
    energy = values.square().sum(-1) / 20
    assert torch.allclose(energy.mean(1), torch.ones(2), atol=1e-4)


def test_the_small_encoder_listens_to_the_channel() -> None:
    encoder = small().encoder
    probabilities = torch.randn(1, 26, 29).softmax(-1)
    with torch.no_grad():
        low, high = (encoder(probabilities, torch.tensor([x])) for x in (-5.0, 15.0))
    assert not torch.allclose(low, high)


def test_export_agrees_with_torch_and_comes_back(tmp_path: Path) -> None:
    model = small()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    export.export(tmp_path / "weights.pt", tmp_path / "model", {"name": "test"})
    back = export.restore(tmp_path / "model")
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(back[name], value, atol=2e-3), name
    import onnxruntime as ort

    for part, graph in export.parts(model).items():  # at lengths that `export` does not check
        session = ort.InferenceSession(str(tmp_path / "model" / f"{part}.onnx"), providers=["CPUExecutionProvider"])
        for length in (2, 41, 127):
            inputs = graph.inputs(length)
            found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
            with torch.no_grad():
                wanted = graph.module.eval()(*inputs.values())
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            for left, right in zip(found, wanted, strict=True):
                assert left.shape == right.shape
                assert np.abs(left - right.numpy()).max() < 0.02 * max(1.0, float(right.abs().max()))


def test_export_refuses_weights_of_another_network(tmp_path: Path) -> None:
    torch.save({"first": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="no weights of a DeepSC-ST"):
        export.export(tmp_path / "weights.pt", tmp_path / "model", {})


def test_tacotron_2_has_the_number_of_parameters_of_its_layer_table() -> None:
    with torch.device("meta"):
        assert parameter_count(tacotron2.Tacotron2(symbols=148)) == 28_193_153  # NVIDIA's has 148
        assert parameter_count(tacotron2.Tacotron2()) == 28_193_153 - (148 - 30) * 512


def test_mel_spectrogram_survives_griffin_and_lim() -> None:
    time = np.arange(22_050) / 22_050
    audio = 0.3 * np.sin(2 * np.pi * 220 * time * (1 + 0.2 * time)) + 0.1 * np.sin(2 * np.pi * 1500 * time)
    mel = tacotron2.mel_spectrogram(audio)
    again = tacotron2.mel_spectrogram(tacotron2.griffin_lim(mel, rounds=30))
    loud = mel > mel.max() - 4
    assert mel.shape == (87, 80) and again.shape[0] == 87
    assert np.abs(again - mel)[loud].mean() < 0.25  # 2 dB
