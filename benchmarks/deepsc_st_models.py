# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trained DeepSC-ST models read, on which channel to train, and the loss for three learning rates.

    .venv/bin/python benchmarks/deepsc_st_models.py errors --data kathleen --data librispeech --model open
    .venv/bin/python benchmarks/deepsc_st_models.py channels --train kathleen --train librispeech --data kathleen ...
    .venv/bin/python benchmarks/deepsc_st_models.py rates --train kathleen --seconds 120

Each adds its part to `--output` (benchmarks/deepsc_st_models.json). `errors` sends the split `test` of each folder over
the channel model of the link in NumPy, without GNU Radio: `semcom run deepsc_st` is the whole link. Intervals of 95 %
are bootstrapped over utterances. `channels` is the paper's search for a robust model: its channel layers (7,309
weights) on the frozen recogniser of `--model`, trained on one channel at 8 dB and tested on each; one fade for 128
symbols.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
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
    """Error rates without a channel and over channels; with the n-gram without one and over AWGN at 4 dB."""
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
            return rates([(t, coder.text(s, ngram)) for t, s in zip(wanted, scores, strict=True)])

        row: dict[str, Any] = {"utterances": len(speech), "characters": sum(map(len, texts))}
        row["noiseless"] = read(logits, False)
        if with_beam:
            row["noiseless_beam"] = read(logits, True)
            row["awgn_4_db_beam"] = read(over("awgn", 4), True)
        for channel, points in ESN0_DB.items():
            row[channel] = {str(esn0_db): read(over(channel, esn0_db), False) for esn0_db in points}
        result[folder.name] = row
        short = {k: v["cer"] for k, v in row.items() if isinstance(v, dict) and "cer" in v}
        print(folder.name, short, {k: v["cer"] for k, v in row["awgn"].items()}, file=sys.stderr)
    return result


def channels(coder: Codec, train: list[Path], test: list[Path], seconds: float) -> dict[str, Any]:
    """CER of the paper's channel layers by the channel they were trained on and the one they are tested on."""
    import torch

    from gnuradio.semcom.systems.deepsc_st.network import REALS, PaperDecoder, PaperEncoder, valid

    torch.set_num_threads(1)
    random = np.random.default_rng(1)

    def probabilities(speech: list[Utterance]) -> list[torch.Tensor]:
        return [torch.from_numpy(coder.logits(u.audio / np.float32(32768))).softmax(-1) for u in speech]

    known = [u for folder in train for u in load(folder, "train") if len(u.audio) < 8 * 16_000]
    known = [known[n] for n in random.permutation(len(known))[:600]]
    examples = list(zip(known, probabilities(known), strict=True))
    unknown = [u for folder in test for u in load(folder, "test")]
    tests = list(zip(unknown, probabilities(unknown), strict=True))

    def run(layers: Any, rows: list[Any], channel: str, draw: np.random.Generator) -> Any:
        """Logits after the channel and lengths, of padded probabilities."""
        lengths = np.array([len(p) for _, p in rows])
        padded = torch.nn.utils.rnn.pad_sequence([p for _, p in rows], batch_first=True)
        count = torch.from_numpy(lengths)
        level = np.full(len(rows), CHANNEL_ESN0_DB)
        variance = torch.from_numpy(training.noise_variances(lengths, level, [channel] * len(rows), draw, False))
        values = layers[0](padded, torch.from_numpy(level).float(), valid(count, padded.shape[1]))
        noise = torch.from_numpy(draw.standard_normal((*variance.shape[:2], REALS))).float()
        return layers[1](values + (variance / 2).sqrt().repeat_interleave(2, -1) * noise, variance), count

    def tokens(rows: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        sequences = [torch.from_numpy(encode_text(u.text)) for u, _ in rows]
        return torch.cat(sequences), torch.tensor([len(s) for s in sequences])

    table: dict[str, dict[str, Any]] = {}
    for trained in training.CHANNELS:
        torch.manual_seed(1)
        draw = np.random.default_rng(2)
        layers = torch.nn.ModuleList([PaperEncoder(), PaperDecoder()])
        optimiser = torch.optim.Adam(layers.parameters(), lr=3e-3)
        begun, steps = time.process_time(), 0
        while (share := (time.process_time() - begun) / seconds) < 1:
            optimiser.param_groups[0]["lr"] = training.falling(share, 3e-3)
            rows = [examples[n] for n in draw.integers(len(examples), size=24)]
            objective = training.ctc(*run(layers, rows, trained, draw), *tokens(rows))
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
            steps += 1
        table[trained] = {"steps": steps}
        for tested in training.CHANNELS:
            draw, pairs = np.random.default_rng(3), []
            for first in range(0, len(tests), 24):
                rows = tests[first : first + 24]
                with torch.no_grad():
                    logits, lengths = run(layers, rows, tested, draw)
                for (utterance, _), scores, length in zip(rows, logits.numpy(), lengths.tolist(), strict=True):
                    pairs.append((utterance.text, greedy(scores[:length])))
            table[trained][tested] = rates(pairs)
        print(trained, {k: v["cer"] for k, v in table[trained].items() if k != "steps"}, file=sys.stderr)
    pairs = [(u.text, greedy(p.numpy())) for u, p in tests]
    table["no_channel"] = rates(pairs)
    return {"esn0_db": CHANNEL_ESN0_DB, "cpu_seconds_each": seconds, "batch": 24, "trained_on": table}


def learning_rates(train: list[Path], seconds: float) -> dict[str, Any]:
    """The CTC loss of `small` from the start, by steps, for three learning rates: as the paper's Figure 4."""
    curves: dict[str, Any] = {}
    for rate in (1e-2, 1e-3, 1e-4):
        with tempfile.TemporaryDirectory() as folder:
            training.train(train, Path(folder), time_budget_s=seconds, learning_rate=rate, curve=True)
            curves[f"{rate:g}"] = json.loads((Path(folder) / "curve.json").read_text())
    return {"seconds_each": seconds, "folders": [f.name for f in train], "loss_a_character": curves}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("errors", "channels", "rates"))
    parser.add_argument("--model", default="open")
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder whose split test is read")
    parser.add_argument("--train", type=Path, action="append", default=[], help="folder whose split train is used")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--limit", type=int, default=0, help="utterances a folder, 0: all")
    parser.add_argument("--beam", action="store_true", help="also with the n-gram of the model")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    if arguments.part == "errors":
        content: Any = errors(codec(arguments.model), arguments.data, arguments.beam, arguments.limit)
        name = f"errors_{arguments.model}"
    elif arguments.part == "channels":
        content = channels(codec(arguments.model), arguments.train, arguments.data, arguments.seconds)
        name = "channels"
    else:
        content, name = learning_rates(arguments.train, arguments.seconds), "learning_rates"
    known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    known |= {"processor": processor(), "versions": versions(), name: content}
    arguments.output.write_text(json.dumps(known, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
