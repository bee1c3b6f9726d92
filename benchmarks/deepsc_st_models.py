# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trained DeepSC-ST models read, on which channel to train, and the loss for three learning rates.

    .venv/bin/python benchmarks/deepsc_st_models.py errors --data kathleen --data librispeech --model open
    .venv/bin/python benchmarks/deepsc_st_models.py channels --train kathleen --train librispeech --data kathleen ...
    .venv/bin/python benchmarks/deepsc_st_models.py rates --train kathleen --seconds 20

Each adds its part to `--output` (benchmarks/deepsc_st_models.json). `errors` sends the split `test` of each folder over
the channel model of the link in NumPy, without GNU Radio: `semcom run deepsc_st` is the whole link. Intervals of 95 %
are bootstrapped over utterances. `channels` is the paper's search for a robust model: its channel layers (7,309
weights) on the frozen recogniser of `--model`, trained on one channel at 8 dB and tested on each; one fade for 128
symbols. `rates` is the loss of those layers over Rician fading for three learning rates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnuradio.semcom.metrics.text import edit_distance
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.speech.ctc import greedy
from gnuradio.semcom.systems.deepsc_st import train as training
from gnuradio.semcom.systems.deepsc_st.codec import Codec, codec
from gnuradio.semcom.systems.deepsc_st.data import Utterance, load
from gnuradio.semcom.text.alphabet import encode_text

ESN0_DB = {"awgn": (-12, -8, -4, 0, 4, 8, 20), "rayleigh": (0, 8), "rician": (0, 8)}
CHANNEL_ESN0_DB = 8.0
EXAMPLES = 400  # utterances that channel layers are trained on in the search
Floats = NDArray[np.float32]


def received(symbols: NDArray[np.complex64], channel: str, esn0_db: float, random: np.random.Generator) -> Any:
    """Equalised symbols and the noise variance of each, over block fading of 128 symbols known to the receiver."""
    gains = np.repeat(training.fades(-(-symbols.size // training.BLOCK), channel, random), training.BLOCK)
    variance = 10 ** (-esn0_db / 10) / np.maximum(gains[: symbols.size], 1e-4)
    noise = random.standard_normal((2, symbols.size)) * np.sqrt(variance / 2)
    return (symbols + noise[0] + 1j * noise[1]).astype(np.complex64), variance.astype(np.float32)


def rates(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Corpus-wide CER and WER of (reference, read), each with its interval of 95 % over utterances."""
    random = np.random.default_rng(0)
    draws = random.integers(len(pairs), size=(1000, len(pairs)))
    row: dict[str, Any] = {}
    for name, cut in (("cer", list), ("wer", str.split)):
        errors = np.array([edit_distance(cut(a), cut(b)) for a, b in pairs])
        lengths = np.array([len(cut(a)) for a, _ in pairs])
        low, high = np.percentile(errors[draws].sum(1) / lengths[draws].sum(1), (2.5, 97.5))
        row[name] = round(errors.sum() / lengths.sum(), 4)
        row[f"{name}_interval"] = [round(float(low), 4), round(float(high), 4)]
    return row


def errors(coder: Codec, folders: list[Path], with_beam: bool, limit: int) -> dict[str, Any]:
    """Greedy error rates without a channel and over channels; with the n-gram without one and over AWGN."""
    result: dict[str, Any] = {}
    for folder in folders:
        speech = load(folder, "test")[: limit or None]
        logits = [coder.logits(u.audio / np.float32(32768)) for u in speech]
        texts = [u.text for u in speech]

        def over(channel: str, esn0_db: float, sent: list[Floats] = logits) -> list[Floats]:
            found = []
            for number, scores in enumerate(sent):
                random = np.random.default_rng([number, int(esn0_db) + 100])
                found.append(coder.decode(*received(coder.symbols(scores, esn0_db), channel, esn0_db, random)))
            return found

        def read(scores: list[Floats], ngram: bool, wanted: list[str] = texts) -> dict[str, Any]:
            return rates([(t, coder.text(s) if ngram else greedy(s)) for t, s in zip(wanted, scores, strict=True)])

        row: dict[str, Any] = {"utterances": len(speech), "characters": sum(map(len, texts))}
        row["noiseless"] = read(logits, False)
        if with_beam:
            row["noiseless_beam"] = read(logits, True)
            row["awgn_beam"] = {str(esn0_db): read(over("awgn", esn0_db), True) for esn0_db in ESN0_DB["awgn"]}
        for channel, points in ESN0_DB.items():
            row[channel] = {str(esn0_db): read(over(channel, esn0_db), False) for esn0_db in points}
        result[folder.name] = row
        short = {k: v["cer"] for k, v in row.items() if isinstance(v, dict) and "cer" in v}
        print(folder.name, short, {k: v["cer"] for k, v in row["awgn"].items()}, file=sys.stderr)
    return result


class Search:
    """The paper's channel layers, trained on the frozen recogniser's probabilities, which are computed once."""

    def __init__(self, coder: Codec, train: list[Path], test: list[Path]) -> None:
        import torch

        torch.set_num_threads(1)

        def examples(speech: list[Utterance]) -> list[Any]:
            return [(u, torch.from_numpy(coder.logits(u.audio / np.float32(32768))).softmax(-1)) for u in speech]

        known = [u for folder in train for u in load(folder, "train") if len(u.audio) < 6 * 16_000]
        random = np.random.default_rng(1)
        self.examples = examples([known[n] for n in random.permutation(len(known))[:EXAMPLES]])
        self.tests = examples([u for folder in test for u in load(folder, "test")])

    def train(self, channel: str, seconds: float, rate: float) -> tuple[Any, list[float]]:
        """Layers after so many seconds of the processor, and the CTC loss a character of each step."""
        import torch

        from gnuradio.semcom.systems.deepsc_st.network import PaperDecoder, PaperEncoder

        torch.manual_seed(1)
        draw = np.random.default_rng(2)
        layers = torch.nn.ModuleList([PaperEncoder(), PaperDecoder()])
        optimiser = torch.optim.Adam(layers.parameters(), lr=rate)
        begun, losses = time.process_time(), []
        while time.process_time() - begun < seconds:
            rows = [self.examples[n] for n in draw.integers(len(self.examples), size=24)]
            sequences = [torch.from_numpy(encode_text(u.text)) for u, _ in rows]
            counts = torch.tensor([len(s) for s in sequences])
            objective = training.ctc(*self.run(layers, rows, channel, draw), torch.cat(sequences), counts)
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
            losses.append(round(float(objective.detach()), 4))
        return layers, losses

    def run(self, layers: Any, rows: list[Any], channel: str, draw: np.random.Generator) -> Any:
        """Logits after the channel [B, L, 29] and lengths [B]."""
        import torch

        from gnuradio.semcom.speech.recurrent import valid
        from gnuradio.semcom.systems.deepsc_st.network import REALS

        lengths = np.array([len(p) for _, p in rows])
        padded = torch.nn.utils.rnn.pad_sequence([p for _, p in rows], batch_first=True)
        count = torch.from_numpy(lengths)
        level = np.full(len(rows), CHANNEL_ESN0_DB)
        variance = torch.from_numpy(training.noise_variances(lengths, level, [channel] * len(rows), draw, False))
        values = layers[0](padded, torch.from_numpy(level).float(), valid(count, padded.shape[1]))
        noise = torch.from_numpy(draw.standard_normal((*variance.shape[:2], REALS))).float()
        return layers[1](values + (variance / 2).sqrt().repeat_interleave(2, -1) * noise, variance), count

    def test(self, layers: Any, channel: str) -> dict[str, Any]:
        """Error rates over a channel, three draws of it an utterance."""
        import torch

        draw, pairs = np.random.default_rng(3), []
        for first in range(0, 3 * len(self.tests), 24):
            rows = (3 * self.tests)[first : first + 24]
            with torch.no_grad():
                logits, lengths = self.run(layers, rows, channel, draw)
            for (utterance, _), scores, length in zip(rows, logits.numpy(), lengths.tolist(), strict=True):
                pairs.append((utterance.text, greedy(scores[:length])))
        return rates(pairs)


def channels(search: Search, seconds: float) -> dict[str, Any]:
    """CER of the paper's channel layers by the channel they were trained on and the one they are tested on."""
    table: dict[str, Any] = {}
    for trained in training.CHANNELS:
        layers, losses = search.train(trained, seconds, 3e-3)
        table[trained] = {"steps": len(losses), **{tested: search.test(layers, tested) for tested in training.CHANNELS}}
        print(trained, {tested: table[trained][tested]["cer"] for tested in training.CHANNELS}, file=sys.stderr)
    table["no_channel"] = rates([(u.text, greedy(p.numpy())) for u, p in search.tests])
    return {"esn0_db": CHANNEL_ESN0_DB, "cpu_seconds_each": seconds, "batch": 24, "trained_on": table}


def learning_rates(search: Search, seconds: float) -> dict[str, Any]:
    """The loss of the channel layers over Rician fading for three learning rates: as the paper's Figure 4."""
    curves = {f"{rate:g}": search.train("rician", seconds, rate)[1] for rate in (1e-2, 1e-3, 1e-4)}
    for rate, losses in curves.items():
        print(rate, [round(float(np.mean(part)), 3) for part in np.array_split(losses, 8)], file=sys.stderr)
    return {"cpu_seconds_each": seconds, "batch": 24, "channel": "rician", "loss_a_character": curves}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("errors", "channels", "rates"))
    parser.add_argument("--model", default="open")
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder whose split test is read")
    parser.add_argument("--train", type=Path, action="append", default=[], help="folder whose split train is used")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--limit", type=int, default=0, help="utterances a folder, 0: all")
    parser.add_argument("--beam", action="store_true", help="also with the n-gram of the model")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    if not arguments.part:
        print("nothing to do: name a part and a folder", file=sys.stderr)
        return 0
    if arguments.part == "errors":
        content: Any = errors(codec(arguments.model), arguments.data, arguments.beam, arguments.limit)
        name = f"errors_{arguments.model}"
    else:
        search = Search(codec(arguments.model), arguments.train, arguments.data)
        run = channels if arguments.part == "channels" else learning_rates
        content, name = run(search, arguments.seconds), run.__name__
    known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    known |= {"processor": processor(), "versions": versions(), name: content}
    arguments.output.write_text(json.dumps(known, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
