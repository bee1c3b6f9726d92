# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trainings of all systems have in common: the clock, the files, averaged weights and an orderly end."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def write_aside(path: Path, state: object) -> None:
    """Save so that a kill in the middle leaves the old file."""
    temporary = path.with_suffix(path.suffix + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def read_checkpoint(output: Path, device: str = "cpu") -> dict[str, Any] | None:
    """The state in `checkpoint.pt` of an output folder; None where there is none yet."""
    path = output / "checkpoint.pt"
    return torch.load(path, weights_only=True, map_location=device) if path.exists() else None


def log_row(output: Path, row: dict[str, Any]) -> None:
    """A line of `log.jsonl` in an output folder, printed too."""
    with (output / "log.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def half_cosine(share: float, least: float = 0.01) -> float:
    """Factor of the learning rate after a share of the time: half a cosine from 1 to `least`; outside these."""
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))


class Stop:
    """True once SIGTERM or Ctrl-C has come, which then no longer end the program at once."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __bool__(self) -> bool:
        return self.asked


class Run:
    """A training of one network that ends when its time is used up, or when `stop` comes.

    `state`, what `read_checkpoint` found, is gone on from. `average` is the exponential average of the weights over the
    last steps, of which at most the share `decay` stays in each. `step` and `elapsed_s` (wall time) count earlier runs
    in. Files are due every `save_every_s`, checks every `check_every_s` seconds.
    """

    def __init__(
        self, output: Path, model: nn.Module, optimiser: torch.optim.Optimizer, time_budget_s: float,
        state: dict[str, Any] | None, *, decay: float, save_every_s: float, check_every_s: float,
    ) -> None:  # fmt: skip
        self.output, self.model, self.optimiser, self.time_budget_s = output, model, optimiser, time_budget_s
        self.decay, self.save_every_s, self.check_every_s = decay, save_every_s, check_every_s
        self.average: dict[str, Tensor] = {k: v.clone() for k, v in model.state_dict().items()}
        self.step, self.elapsed_s = 0, 0.0
        if state:
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            self.average, self.step, self.elapsed_s = state["average"], state["step"], state["elapsed_s"]
        self._begun = self._saved = self._checked = 0.0
        self.stop = Stop()

    def shares(self, max_steps: int = 0) -> Iterator[float]:
        """The share of the time that is used up, before each step; with `max_steps` no more than these in all."""
        self._saved = self._checked = time.time()
        self._begun = self._saved - self.elapsed_s
        self.model.train()
        while not self.stop and self.elapsed_s < self.time_budget_s and not (max_steps and self.step >= max_steps):
            yield self.elapsed_s / self.time_budget_s

    def set_rate(self, rate: float) -> None:
        """Give all parameters this learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def update(self, objective: Tensor, *groups: Iterable[Tensor], clip: float = 1.0) -> float:
        """A step down the gradient of `objective`, left out where that is not finite, and on the clock.

        The gradient of each group of parameters (default: one of all) is clipped to the norm `clip`. Returns the norm
        of the first before that.
        """
        self.optimiser.zero_grad(set_to_none=True)
        objective.backward()
        norm = [nn.utils.clip_grad_norm_(group, clip) for group in groups or (self.model.parameters(),)][0]
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        keep = min(self.decay, 1 - 1 / (self.step / 10 + 1))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - keep)
                else:
                    self.average[key].copy_(value)
        self.elapsed_s = time.time() - self._begun
        return float(norm)

    def when_due(self, save: Callable[[], None], check: Callable[[bool], None]) -> None:
        """Call `save()` and `check(False)` where their time has come."""
        now = time.time()
        if now - self._saved > self.save_every_s:
            save()
            self._saved = now
        if now - self._checked > self.check_every_s:
            check(False)
            self._checked = time.time()

    def save_checkpoint(self, **more: object) -> None:
        """Write `checkpoint.pt`, with `more` in it."""
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(), "average": self.average}
        clock = {"step": self.step, "elapsed_s": self.elapsed_s}
        write_aside(self.output / "checkpoint.pt", {**state, **more, **clock})

    def save(self) -> None:
        """Write `checkpoint.pt`, and the average to `weights.pt`."""
        self.save_checkpoint()
        write_aside(self.output / "weights.pt", self.average)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network has its averaged weights meanwhile."""
        own = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        yield
        self.model.load_state_dict(own)

    def log(self, final: bool, **found: object) -> None:
        """A line of `log.jsonl`: where the training is, and what was found."""
        log_row(self.output, {"step": self.step, "elapsed_s": round(self.elapsed_s, 1), "final": final, **found})
