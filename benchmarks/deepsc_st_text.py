# SPDX-License-Identifier: GPL-3.0-or-later
"""What the text of an utterance costs, sent by the best of codes in the airtime of DeepSC-ST; Table IV and Figure 10.

    .venv/bin/python benchmarks/deepsc_st_text.py bound --data folder [--model open]
    .venv/bin/python benchmarks/deepsc_st_text.py ground --data folder [--model open] [--limit 20]
    .venv/bin/python benchmarks/deepsc_st_text.py utterance --data folder --name arctic_b0507 [--model open]

`bound`: the bits of the recognised texts (Huffman; arithmetic code with the model's n-gram) over the 20 symbols for
each 40 ms that DeepSC-ST takes give a rate, and the lowest Es/N0 for it: Shannon's for Gaussian symbols, the normal
approximation for a message of that length lost once in 100 (QPSK, AWGN), and over fading blocks of 128 symbols the
outage of 1 %. `ground`: FDSD, KDSD and predicted MOS of the voice that speaks the transcripts, and of the sent speech.
`utterance`: what five systems make of one utterance over Rayleigh fading at 4 dB, through the link, as a table and as
spectrograms in docs/images. Results go into benchmarks/deepsc_st_PART.json.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages
from gnuradio.semcom.message import SAMPLE_RATE, Message, message_text
from gnuradio.semcom.metrics.audio import predicted_mos
from gnuradio.semcom.metrics.text import edit_distance
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.phy import bounds
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.beam import CharacterNgram
from gnuradio.semcom.speech.distances import SpeechSets
from gnuradio.semcom.speech.features import symbol_count
from gnuradio.semcom.speech.synthesis import voice_of
from gnuradio.semcom.text import huffman
from gnuradio.semcom.text.alphabet import ALPHABET, normalise

FOLDER = Path(__file__).resolve().parent
IMAGES = FOLDER.parent / "docs/images"
LOST = 0.01  # share of messages that the bounds may lose
BLOCK = 128  # symbols with one fade
USER = "anna"
CONVENTIONAL = {"mcs": "64qam-1/2", "code": "polar-512", "list_size": 4}
FIVE = {
    "deepsc_st": {}, "sr_deepsc": {}, "text_transceiver": CONVENTIONAL, "speech_transceiver": CONVENTIONAL,
    "feature_transceiver": CONVENTIONAL,
}  # fmt: skip


def test_speech(folder: Path, limit: int = 0) -> list[Message]:
    """The utterances of the split `test`, with their transcripts."""
    items = list_inputs(folder, split="test", kind="speech")
    return [message for item in items[: limit or None] for message in read_messages(item, "speech")]


def ngram_bits(ngram: CharacterNgram, text: str) -> float:
    """Length in bits of text and end in an ideal arithmetic code; the end counts as a letter of its own, 1 in 40."""
    spent = sum(-ngram.log_probabilities(text[:k])[ALPHABET.index(c)] for k, c in enumerate(text))
    return float(spent) / math.log(2) + (len(text) + 1) * -math.log2(1 - 1 / 40) + math.log2(39)


def lowest_db(rate: float, symbols: int, channel: str) -> float:
    """Es/N0 in dB where the outage of that rate over blocks of 128 symbols is 1 %."""
    low, high = -30.0, 40.0
    while high - low > 0.01:
        middle = (low + high) / 2
        lost = float(bounds.outage_bler(rate, middle, "qpsk", channel, math.ceil(symbols / BLOCK)))
        low, high = (middle, high) if lost > LOST else (low, middle)
    return high


def bound(speech: list[Message], model: str) -> dict[str, Any]:
    """Means over the utterances."""
    own = recognisers.get(model)
    assert isinstance(own, recognisers.OwnRecogniser)
    ngram = CharacterNgram.from_arrays(own.model.arrays("ngram.npz"))
    rows: dict[str, list[list[float]]] = {"huffman": [], "ngram": []}
    for message in speech:
        text, symbols = own.recognise(message.data), symbol_count(message.data.size)
        for code, bits in (("huffman", float(huffman.encode(text).size)), ("ngram", ngram_bits(ngram, text))):
            rate, seconds = bits / symbols, message.data.size / SAMPLE_RATE
            shannon = 10 * math.log10(2**rate - 1)
            normal = bounds.normal_approximation_esn0_db(rate, symbols, LOST, "qpsk")
            faded = [lowest_db(rate, symbols, channel) for channel in ("rayleigh", "rician")]
            rows[code].append([bits / seconds, bits / max(1, len(text)), rate, shannon, normal, *faded])
    names = ("bits_a_second", "bits_a_letter", "bits_a_symbol", "shannon_db", "normal_approximation_awgn_db",
             "outage_rayleigh_db", "outage_rician_db")  # fmt: skip
    mean = {code: np.round(np.mean(found, 0), 3).tolist() for code, found in rows.items()}
    means = {code: dict(zip(names, values, strict=True)) for code, values in mean.items()}
    return {"utterances": len(speech), "recogniser": model, "messages_lost": LOST, **means}


def ground(speech: list[Message], model: str) -> dict[str, Any]:
    """The voice reading what was said, no recogniser and no channel; and the speech itself."""
    sets, scores, own = SpeechSets(), [], []
    voice = voice_of(USER)
    for message in speech:
        spoken = Message("speech", voice.speak(normalise(str(message.meta["transcript"]))))
        sets.add(message, spoken)
        scores.append(predicted_mos(spoken.data))
        own.append(predicted_mos(message.data))
    mos, sent = ([s for s in found if s is not None] for found in (scores, own))
    spoken_metrics = {**sets.metrics(), "predicted_mos": float(np.mean(mos)) if mos else None}
    return {
        "utterances": len(speech), "features": sets.name, "voice": USER, "spoken_transcripts": spoken_metrics,
        "sent_speech": {"predicted_mos": float(np.mean(sent)) if sent else None},
    }  # fmt: skip


def utterance(message: Message, model: str, esn0_db: float = 4.0) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Texts and speech of the five systems."""
    reference = normalise(str(message.meta["transcript"]))
    unsent = recognisers.recognise(model, message.data)
    rows: dict[str, Any] = {}
    heard = {"sent": message.data}
    for system, phy in FIVE.items():
        user = "" if system == "speech_transceiver" else USER
        link = Link(system, model, channel="rayleigh", esn0_db=esn0_db, user=user, seed=1, judges=False, **phy)
        ((received, record),) = link.run([message])
        text = normalise(message_text(received))
        heard[system] = received.data
        rows[system] = {
            "text": text, "cer": round(edit_distance(reference, text) / len(reference), 3),
            "symbols": record["symbols_total"],
        }  # fmt: skip
    about = {"utterance": message.meta.get("name", ""), "channel": "rayleigh", "esn0_db": esn0_db, "recogniser": model}
    return {**about, "said": reference, "read_without_a_channel": unsent, "systems": rows}, heard


def spectrograms(heard: dict[str, np.ndarray], path: Path) -> None:
    """Figure 10."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gnuradio.semcom.bench.plot import figure_style
    from gnuradio.semcom.speech_demo.pictures import spectrogram_db

    with figure_style():
        figure: Any = Figure(figsize=(11, 6.5), dpi=90, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, 3, sharex=True, sharey=True)
        longest = max(speech.size for speech in heard.values()) / SAMPLE_RATE
        for axis, (name, speech) in zip(axes.flat, heard.items(), strict=True):
            axis.set(title=name.replace("_", " "), ylim=(0, 8), xlim=(0, longest))
            axis.grid(False)
            if not np.any(speech):
                axis.text(longest / 2, 4, "nothing", ha="center", va="center")
                continue
            quieter = 20 * np.log10(np.abs(speech).max() / np.abs(heard["sent"]).max())  # than what was sent
            axis.imshow(
                spectrogram_db(speech) + quieter, origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0,
                extent=(0, speech.size / SAMPLE_RATE, 0, 8),
            )  # fmt: skip
        for axis in axes[:, 0]:
            axis.set_ylabel("kHz")
        for axis in axes[1]:
            axis.set_xlabel("s")
        figure.savefig(path, metadata={"Software": None})


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("bound", "ground", "utterance"))
    parser.add_argument("--data", type=Path, help="folder with a split test")
    parser.add_argument("--model", default="open")
    parser.add_argument("--name", default="", help="part of a file's name: which utterance")
    parser.add_argument("--limit", type=int, default=0, help="utterances, 0: all")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if not arguments.part or not arguments.data:
        print("nothing to do: name a part and a folder", file=sys.stderr)
        return 0
    speech = test_speech(arguments.data, arguments.limit)
    if arguments.part == "utterance":
        chosen = [m for m in speech if arguments.name in str(m.meta.get("name", ""))]
        content, heard = utterance(chosen[0], arguments.model)
        spectrograms(heard, IMAGES / "deepsc_st_figure10.png")
    else:
        content = (bound if arguments.part == "bound" else ground)(speech, arguments.model)
    print(json.dumps(content, indent=1))
    output = arguments.output or FOLDER / f"deepsc_st_{arguments.part}.json"
    words = ["python benchmarks/deepsc_st_text.py", arguments.part, "--data", arguments.data.name]
    for option, given in (("--model", arguments.model), ("--name", arguments.name), ("--limit", arguments.limit)):
        words += [option, str(given)] if given else []
    about = {"command": " ".join(words), "processor": processor(), "versions": versions()}
    output.write_text(json.dumps({**content, **about}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
