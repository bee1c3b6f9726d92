# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings in SigMF (the Signal Metadata Format, sigmf.org): NAME.sigmf-meta, JSON, beside NAME.sigmf-data.

We write cf32_le. Each burst is an annotation: where it lies, and in the namespace `semcom` what was sent or received,
and when. Read are single-channel recordings of the datatypes below, those of other programs too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..output import write_text

VERSION = "1.0.0"  # of the specification whose fields are used
SUFFIX, DATA_SUFFIX = ".sigmf-meta", ".sigmf-data"
DATATYPES = {  # NumPy's type of one component, its zero, its full scale
    "cf32_le": ("<f4", 0.0, 1.0), "cf32_be": (">f4", 0.0, 1.0), "cf64_le": ("<f8", 0.0, 1.0),
    "ci16_le": ("<i2", 0.0, 32768.0), "ci16_be": (">i2", 0.0, 32768.0), "ci8": ("i1", 0.0, 128.0),
    "cu8": ("u1", 127.5, 127.5),
}  # fmt: skip
_PIECE = 65_536


def data_path(meta_path: Path) -> Path:
    """The file of samples that belongs to a .sigmf-meta file."""
    return meta_path.with_name(meta_path.name.removesuffix(SUFFIX) + DATA_SUFFIX)


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as SigMF writes time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def annotation(start: int, count: int, system: str, **about: Any) -> dict[str, Any]:
    """A burst in a recording: first sample, number of samples, and what is known of it; None is left out."""
    known = {f"semcom:{name}": value for name, value in about.items() if value is not None}
    place = {"core:sample_start": max(int(start), 0), "core:sample_count": int(count)}
    return {**place, "core:label": system, "core:generator": "gr-semcom", "semcom:system": system, **known}


def write_meta(
    path: Path,
    sample_rate_hz: float,
    annotations: Sequence[dict[str, Any]],
    begun: float,
    frequency_hz: float | None = None,
    description: str = "",
) -> None:
    """Write the .sigmf-meta file of a recording that began at `begun`, seconds since 1970."""
    capture: dict[str, Any] = {"core:sample_start": 0, "core:datetime": timestamp(begun)}
    if frequency_hz is not None:
        capture["core:frequency"] = frequency_hz
    content = {
        "global": {
            "core:datatype": "cf32_le", "core:sample_rate": sample_rate_hz, "core:version": VERSION,
            "core:recorder": "gr-semcom", "core:description": description,
            "core:extensions": [{"name": "semcom", "version": "0.1.0", "optional": True}],
        },
        "captures": [capture],
        "annotations": sorted(annotations, key=lambda one: one["core:sample_start"]),
    }  # fmt: skip
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


@dataclass(frozen=True)
class Recording:
    """A recording to be read. `samples` is how many there are; `missing` how many the annotations name beyond them:
    above 0, the file was cut short."""

    path: Path
    datatype: str
    sample_rate_hz: float | None
    samples: int
    missing: int = 0
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def pieces(self) -> Iterator[NDArray[np.complex64]]:
        """The samples, complex64, piece by piece."""
        dtype, zero, scale = DATATYPES[self.datatype]
        with data_path(self.path).open("rb") as stream:
            left = self.samples
            while left:
                parts = np.fromfile(stream, dtype, 2 * min(left, _PIECE))
                if parts.size < 2:
                    return
                values = parts[: parts.size // 2 * 2].astype(np.float32)
                if scale != 1.0:
                    values = (values - np.float32(zero)) / np.float32(scale)
                left -= values.size // 2
                yield values.view(np.complex64)


def read(path: Path) -> Recording:
    """What a .sigmf-meta file describes; ValueError, one line, for what is no recording or cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no SigMF file, or was cut short: {error}") from error
    about = content.get("global") if isinstance(content, dict) else None
    if not isinstance(about, dict) or "core:datatype" not in about:
        raise ValueError(f"{path} is no SigMF file: it has no core:datatype")
    datatype = str(about["core:datatype"])
    if datatype not in DATATYPES:
        raise ValueError(f"{path} holds {datatype!r}: expected one of {', '.join(DATATYPES)}")
    if about.get("core:num_channels", 1) != 1:
        raise ValueError(f"{path} has {about['core:num_channels']} channels: expected one")
    data = data_path(path)
    try:
        octets = data.stat().st_size
    except OSError as error:
        raise ValueError(f"cannot read {data}, the samples of {path}: {error.strerror}") from error
    samples = octets // (2 * np.dtype(DATATYPES[datatype][0]).itemsize)
    if not samples:
        raise ValueError(f"{data} holds no samples")
    rate = about.get("core:sample_rate")
    notes = [one for one in content.get("annotations") or () if isinstance(one, dict)]
    end = max((_end(one) for one in notes), default=0)
    known_rate = float(rate) if isinstance(rate, (int, float)) and rate > 0 else None
    return Recording(path, datatype, known_rate, samples, max(0, end - samples), notes)


def _end(note: dict[str, Any]) -> int:
    """The first sample behind an annotation; 0 where it does not say."""
    start, count = note.get("core:sample_start"), note.get("core:sample_count")
    return start + count if isinstance(start, int) and isinstance(count, int) else 0
