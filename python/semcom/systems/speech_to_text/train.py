# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the speech-to-text system in two stages, as the paper. Called by `semcom train speech_to_text`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...metrics.text import edit_distance
from ...text.alphabet import BLANK
from ...text.vocabulary import EOS, PAD, SPECIAL, Vocabulary, build, extended, read
from ..training import Run, half_cosine, log_row, read_checkpoint, write_aside
from .channel import draw
from .data import Batch, Utterance, batches, load, make_batch
from .export import MEANS, restore
from .network import PAPER_WORDS, SIZES, SpeechToText, make

BATCH_S = 56.0  # seconds of speech in a batch
STAGE_ONE = 0.92  # share of the time for the semantic encoder and decoder
DROPOUT = {"small": 0.15, "paper": 0.0}
OWN_WORDS = 0.25  # share of words fed back that are the network's own, at the end of stage 1
LETTERS = 0.5  # weight of the CTC loss of letters
GUIDE, GUIDED_SHARE = 3.0, 0.4  # weight of the guide of attention at first; share of stage 1 until it is gone
GUIDE_WIDTH = 0.15  # of the utterance: attention so far from the place of a word costs 0.4 of the weight
OPTIMISERS = ("adam", "adadelta")
DEFAULT_OPTIMISER = {"small": "adam", "paper": "adadelta"}
LEARNING_RATE = {"adam": 1e-3, "adadelta": 1.0}
MOST_WORDS = 1500  # words of a set that validation listens to
MOST_STEPS = 40  # of the loop in validation
KEPT_VECTORS = 60_000  # words that stage 2 draws from
STAGE_TWO_ROWS = 32


def optimiser_of(name: str, parameters: list[Tensor], rate: float) -> torch.optim.Optimizer:
    """Adam, or the paper's Adadelta with rho 0.95 and eps 1e-8."""
    if name == "adadelta":
        return torch.optim.Adadelta(parameters, lr=rate, rho=0.95, eps=1e-8)
    return torch.optim.Adam(parameters, lr=rate)


def words_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the redundancy layer, EOS included, PAD not; the mean over words."""
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=PAD)


def kept_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy at the places that are sent: words that are none of PAD, UNK and EOS. 0 where there are none."""
    wanted = torch.where(targets >= SPECIAL, targets, PAD)
    total = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=PAD, reduction="sum")
    return total / (wanted != PAD).sum().clamp_min(1)


def letters_loss(model: SpeechToText, first: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
    """CTC loss of the letters read from the first recurrent layer: what it hears takes shape before attention does."""
    assert model.letters is not None
    logs = F.log_softmax(model.letters(first).float(), -1).transpose(0, 1)
    letters, counts = (torch.from_numpy(a).to(first.device) for a in (batch.letters, batch.counts))
    total = F.ctc_loss(logs, letters, lengths // 4, counts, blank=BLANK, reduction="sum", zero_infinity=True)
    return total / counts.sum() * 5  # of a word, about


def guide_loss(weights: Tensor, lengths: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    """Attention [B, q, n] far from where words should be, `places` [B, q] from 0 to 1, by the letters before them: a
    guide to the first alignments (Tachibana, Uenoyama, Aihara, ICASSP 2018). The mean over words."""
    at = (torch.arange(weights.shape[2], device=weights.device) + 0.5) / lengths[:, None]
    cost = 1 - torch.exp(-(at[:, None] - places[..., None]).square() / (2 * GUIDE_WIDTH**2))
    real = targets >= SPECIAL
    return ((weights.float() * cost).sum(-1) * real).sum() / real.sum().clamp_min(1)


def over_channel(
    model: SpeechToText, vectors: Tensor, words: list[int], random: np.random.Generator,
    esn0_db: float | None = None, channel: str = "",
) -> Tensor:  # fmt: skip
    """Word logits [B, c, V] of vectors [B, c, D], of which `words` in each row count, after a channel."""
    masks, variances = draw(words, model.size.symbols, random, model.size.aware, esn0_db, channel)
    sent, noise_var = (torch.from_numpy(a).to(vectors.device) for a in (masks, variances))
    values = model.send(vectors, sent)
    noise = torch.from_numpy(random.standard_normal(values.shape).astype(np.float32)).to(vectors.device)
    on_air = sent.repeat_interleave(2, -1)
    received = values + on_air * (noise_var / 2).sqrt().repeat_interleave(2, -1) * noise
    return model.receive(received, noise_var)


def packed(vectors: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Redundancy removal of a batch: vectors [B, q, D] and numbers [B, q] of the words that are sent, moved to the
    front [B, c, D] and [B, c] (PAD after them), and how many each row has. Rows without any are left out."""
    rows, numbers = [], []
    for row, words in zip(vectors, ids, strict=True):
        before = torch.cumsum(words == EOS, 0) == 0
        chosen = before & (words >= SPECIAL)
        if bool(chosen.any()):
            rows.append(row[chosen])
            numbers.append(words[chosen])
    if not rows:
        return vectors[:0, :0], ids[:0, :0], []
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(rows, batch_first=True), pad(numbers, batch_first=True, padding_value=PAD), [len(row) for row in rows]


def tensors(batch: Batch, device: torch.device | str) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, lengths and targets of a batch."""
    found = (torch.from_numpy(a).to(device) for a in (batch.frames, batch.lengths, batch.targets))
    frames, lengths, targets = found
    return frames, lengths, targets


def encoder_loss(
    model: SpeechToText, batch: Batch, own: float, guide: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The loss of the redundancy layer (and of letters, and `guide` times that of attention), the vectors [B, q, D],
    the targets [B, q]."""
    device = next(model.parameters()).device
    frames, lengths, targets = tensors(batch, device)
    states, left, first = model.states(frames, lengths)
    assert left is not None
    logits, vectors, weights = model.teach(states, left, targets, own)
    loss = words_loss(logits, targets)
    if model.letters is not None:
        loss = loss + LETTERS * letters_loss(model, first, lengths, batch)
    if guide > 0:
        loss = loss + guide * guide_loss(weights, left, targets, torch.from_numpy(batch.places).to(device))
    return loss, vectors, targets


@torch.no_grad()
def validate(
    model: SpeechToText, sets: dict[str, list[Utterance]], vocabulary: Vocabulary, esn0_db: float = 4.0
) -> dict[str, float]:
    """Word error rates of the loop on its own: `<set>_wer` of the encoder, and over AWGN at `esn0_db`."""
    model.eval()
    random = np.random.default_rng(0)
    device = next(model.parameters()).device
    rates: dict[str, float] = {}
    for name, utterances in sets.items():
        errors, over, count = 0, 0, 0
        for group in batches(utterances, 2 * BATCH_S, np.random.default_rng(0), True):
            batch = make_batch(group, vocabulary)
            frames, lengths, _ = tensors(batch, device)
            states, left, _ = model.states(frames, lengths)
            assert left is not None
            ids, vectors = model.hear(states, left, MOST_STEPS)
            sent, numbers, words = packed(vectors, ids)
            found = over_channel(model, sent, words, random, esn0_db, "awgn") if words else sent
            lines = iter(found[..., SPECIAL : len(vocabulary)].argmax(-1).cpu().numpy() + SPECIAL if words else ())
            heard = iter(numbers.cpu().numpy())
            empty = [not any(n >= SPECIAL for n in row[: (row + [EOS]).index(EOS)]) for row in ids.tolist()]
            left_words = iter(words)
            for nothing, text in zip(empty, batch.texts, strict=True):
                reference = text.split()
                length = 0 if nothing else next(left_words)
                one = [] if nothing else vocabulary.decode(next(heard)[:length]).split()
                two = [] if nothing else vocabulary.decode(next(lines)[:length]).split()
                errors += edit_distance(reference, one)
                over += edit_distance(reference, two)
                count += len(reference)
            if count > MOST_WORDS:
                break
        rates[f"{name}_wer"] = round(errors / max(1, count), 4)
        rates[f"{name}_wer_awgn_{esn0_db:g}_db"] = round(over / max(1, count), 4)
    model.train()
    return rates


def load_sets(
    data: list[Path], kept: int = 250, random: np.random.Generator | None = None
) -> tuple[list[Utterance], dict[str, list[Utterance]]]:
    """Utterances to train on, and by folder those that tell how it goes: split `heldout`, else some of `train`, which
    are then left out of it. With `random`, half of those of `train` are spoken in another voice, see `load`."""
    training: list[Utterance] = []
    sets: dict[str, list[Utterance]] = {}
    for folder in data:
        found, held = load(folder, "train", random), load(folder, "heldout")
        if not held:
            step = max(2, len(found) // kept)
            held, found = found[::step], [u for n, u in enumerate(found) if n % step]
        training += found
        sets[folder.name] = held
    if not training:
        raise ValueError(f"no speech to train on in {', '.join(map(str, data))}")
    return training, sets


def grown(state: dict[str, Tensor], model: SpeechToText) -> dict[str, Tensor]:
    """Weights of a network of fewer words: what `model` has for the words that are new stays as it is there."""
    found = {}
    for key, wanted in model.state_dict().items():
        if key in state:
            rows = state[key]
            same = rows.shape == wanted.shape
            found[key] = rows if same else torch.cat([rows.to(wanted.device), wanted[len(rows) :]])
    return found


def endless(training: list[Utterance], random: np.random.Generator, fresh: bool) -> Iterator[list[Utterance]]:
    """Batches without end, the first pass from short to long where `fresh`."""
    while True:
        yield from batches(training, BATCH_S, random, fresh)
        fresh = False


class Vectors:
    """Word vectors of the frozen encoder, utterance by utterance: what stage 2 trains on."""

    def __init__(self) -> None:
        self.rows: list[tuple[Tensor, Tensor]] = []
        self.words = 0

    @torch.no_grad()
    def add(self, model: SpeechToText, batch: Batch) -> None:
        """The vectors along the true words of a batch; the mask of removal is of the true words, too."""
        device = next(model.parameters()).device
        frames, lengths, targets = tensors(batch, device)
        states, left, _ = model.states(frames, lengths)
        assert left is not None
        _, vectors, _ = model.teach(states, left, targets)
        sent, numbers, words = packed(vectors, targets)
        for vector, number, count in zip(sent, numbers, words, strict=True):
            self.rows.append((vector[:count].cpu(), number[:count].cpu()))
            self.words += count

    def means(self, classes: int) -> NDArray[np.float16]:
        """The mean vector of each word, float16 [classes, D]; 0 for those that never came."""
        vectors, numbers = (torch.cat([row[k] for row in self.rows]) for k in (0, 1))
        sums = torch.zeros(classes, vectors.shape[1]).index_add_(0, numbers, vectors.float())
        counts = torch.bincount(numbers, minlength=classes)
        return (sums / counts.clamp_min(1)[:, None]).numpy().astype(np.float16)

    def batch(self, random: np.random.Generator) -> tuple[Tensor, Tensor, list[int]]:
        """Vectors [B, c, D] of random utterances, their numbers [B, c] and counts."""
        chosen = [self.rows[k] for k in random.integers(0, len(self.rows), STAGE_TWO_ROWS)]
        pad = torch.nn.utils.rnn.pad_sequence
        vectors = pad([v for v, _ in chosen], batch_first=True)
        return vectors, pad([n for _, n in chosen], batch_first=True, padding_value=PAD), [len(n) for _, n in chosen]


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 3600.0,
    loss: str = "mse",
    learning_rate: float | None = None,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 1,
    preset: str = "small",
    rate_lambda: float | None = None,
    optimiser: str = "",
    one_go: bool = False,
) -> None:
    """Train until `time_budget_s` of wall time is used up, runs before a `resume` counted in.

    Stage 1: semantic encoder and decoder without a channel, by teacher forcing, cross-entropy of the redundancy layer
    and of the semantic decoder. Stage 2: the encoder frozen, channel encoder, channel decoder and semantic decoder over
    AWGN and Rayleigh fading of random Es/N0. `one_go` trains all of it over the channel from the beginning instead.
    `optimiser` is adam or the paper's adadelta (default: adam for `small`, adadelta for `paper`).

    `output` receives `vocabulary.txt`, `checkpoint.pt` (resumable), `weights.pt` (averaged), `vectors.npz` (the mean
    vector of each word, in stage 2) and `log.jsonl` with the stage and word error rates. SIGTERM and Ctrl-C save a
    checkpoint first. `start`, the weights of another run beside their vocabulary or the folder of an exported model, is
    the beginning of this one; words that only the data have are added to its vocabulary. `loss` and `rate_lambda`
    belong to systems of pictures. ValueError where `data` has no speech or a name is unknown.
    """
    if rate_lambda is not None:
        raise ValueError("--lambda is for ncsc: speech_to_text has no rate to weigh")
    kind = optimiser or DEFAULT_OPTIMISER[preset]
    if kind not in OPTIMISERS:
        raise ValueError(f"optimiser must be {' or '.join(OPTIMISERS)}, not {kind!r}")
    training, sets = load_sets(data, random=np.random.default_rng(seed) if SIZES[preset].guided else None)
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    list_of_words = output / "vocabulary.txt"
    state = read_checkpoint(output, device) if resume else None
    if state or start:
        folder = output if state or start is None else start if start.is_dir() else start.parent
        if not (folder / list_of_words.name).is_file():
            raise ValueError(f"{folder} has no {list_of_words.name}: training writes it beside the weights")
        vocabulary = read((folder / list_of_words.name).read_text(encoding="utf-8"), str(folder / list_of_words.name))
        if not state:
            vocabulary = extended(vocabulary, (u.text for u in training), SIZES[preset].words or PAPER_WORDS)
    else:
        vocabulary = build((u.text for u in training), SIZES[preset].words or PAPER_WORDS)
    vocabulary.write(list_of_words)
    model = make(preset, len(vocabulary.words))
    if start and not state:
        begun_with = restore(start) if start.is_dir() else torch.load(start, weights_only=True, map_location="cpu")
        model.load_state_dict(grown(begun_with, model), strict=False)
    model = model.to(device)
    stage: int = state["stage"] if state else 1
    coder = [model.channel_encoder, model.channel_decoder, model.semantic_decoder]
    highest = learning_rate or LEARNING_RATE[kind]

    def parameters(number: int) -> list[Tensor]:
        modules = [model] if number == 1 else coder
        return [p for module in modules for p in module.parameters()]

    updates = optimiser_of(kind, parameters(stage), highest)
    run = Run(output, model, updates, time_budget_s, state, decay=0.998, save_every_s=120, check_every_s=240)
    if state:
        torch.manual_seed(seed + run.step)
    random = np.random.default_rng([seed, run.step])
    source = endless(training, random, run.step == 0 and start is None)
    kept = Vectors()
    end_of_one = time_budget_s * (1.0 if one_go else STAGE_ONE)

    def save() -> None:
        run.save_checkpoint(stage=stage)
        write_aside(output / "weights.pt", run.average)
        if kept.rows:
            np.savez(output / MEANS, means=kept.means(model.classes))

    def log(final: bool) -> None:
        with run.averaged():
            rates = validate(model, sets, vocabulary)
        row = {
            "step": run.step, "stage": 0 if one_go else stage, "elapsed_s": round(run.elapsed_s, 1), "final": final,
            "optimiser": kind, "loss": None if math.isnan(running) else round(running, 4), **rates,
        }  # fmt: skip
        log_row(output, row)

    running = math.nan
    for _ in run.shares():
        elapsed = run.elapsed_s
        if stage == 1 and elapsed >= end_of_one:
            save()
            log(False)
            stage = 2
            model.load_state_dict(run.average)
            run.optimiser = optimiser_of(kind, parameters(2), highest)
            running = math.nan
        share = elapsed / end_of_one if stage == 1 else (elapsed - end_of_one) / (time_budget_s - end_of_one)
        rate = highest
        if kind == "adam":
            rate *= min(1.0, (run.step + 1) / 200) * half_cosine(share)
        run.set_rate(rate)
        if stage == 1:
            model.dropout = model.blstm.dropout = DROPOUT[preset]
            batch = make_batch(next(source), vocabulary, random)
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
                guided = model.size.guided and start is None
                guide = GUIDE * max(0.0, 1 - share / GUIDED_SHARE) if guided else 0.0
                objective, vectors, targets = encoder_loss(model, batch, OWN_WORDS * share, guide)
                if one_go:
                    sent, numbers, words = packed(vectors.float(), targets)
                    if words:
                        objective = objective + kept_loss(over_channel(model, sent, words, random), numbers)
                else:
                    objective = objective + kept_loss(model.semantic_decoder(vectors), targets)
        else:
            model.eval()  # the encoder is frozen
            if not kept.rows or (run.step % 4 == 0 and kept.words < KEPT_VECTORS):
                kept.add(model, make_batch(next(source), vocabulary, random))
            sent, numbers, words = kept.batch(random)
            objective = kept_loss(over_channel(model, sent.to(device), words, random), numbers.to(device))
        norm = run.update(objective, parameters(stage), clip=5.0)
        value = float(objective.detach())
        running = value if math.isnan(running) else 0.98 * running + 0.02 * value
        if run.step % 50 == 0:
            at = f"step {run.step} {run.elapsed_s:.0f} s"
            print(f"{at} rate {rate:.2e} norm {norm:.2f} loss {running:.3f}", flush=True)
        run.when_due(save, log)
    save()
    log(not run.stop)
