# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed, for `semcom doctor`: parts are tried, not assumed; only slow packages are merely looked up."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

Row = tuple[str, str, bool]

# Distribution, module, what it is for where a link runs without it ("" where no link does)
PACKAGES = (
    ("numpy", "numpy", ""),
    ("scipy", "scipy", ""),
    ("PyYAML", "yaml", ""),
    ("onnxruntime", "onnxruntime", ""),
    ("pillow", "PIL", ""),
    ("av", "av", ""),
    ("tqdm", "tqdm", ""),
    ("soundfile", "soundfile", ""),
    ("scikit-image", "skimage", "the demonstration's photograph"),
    ("matplotlib", "matplotlib", "figures"),
    ("torch", "torch", "training, full-size networks, .pt and .pt2 models"),
    ("onnx", "onnx", "exporting trained models"),
    ("distributed", "distributed", "sweeps on a cluster"),
    ("faster-whisper", "faster_whisper", "the recogniser whisper"),
    ("moonshine-voice", "moonshine_voice", "the recogniser moonshine"),
    ("hibari-tts", "hibari", "the voice of user hibari"),
    ("pystoi", "pystoi", "STOI"),
    ("distillmos", "distillmos", "predicted MOS"),
    ("imagecodecs", "imagecodecs", "the JPEG XL codec"),
)


def report() -> list[Row]:
    """Rows (name, what was found, good).

    `good` is False where something that a link needs is missing or broken; what is missing but optional is
    good and says what it would be for. Never raises: a part that fails to load becomes a row with the reason.
    """
    rows: list[Row] = [("python", platform.python_version(), True)]
    for name, check in (
        ("gnuradio", _gnuradio),
        ("packages", _packages),
        ("onnxruntime providers", _providers),
        ("codecs", _codecs),
        ("speech", _speech),
        ("kernels", _kernels),
        ("models", _models),
        ("GRC blocks", _grc_blocks),
        ("radios", _radios),
    ):
        rows += _guarded(name, check)
    return rows


def _guarded(name: str, check: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """The rows of a check; its first failure ends it with a row that says why."""
    try:
        yield from check()
    except Exception as error:  # whatever a broken installation throws is what this command is there to tell
        yield name, f"{type(error).__name__}: {' '.join(str(error).split())}", False


def _gnuradio() -> Iterator[Row]:
    from gnuradio import gr

    yield "gnuradio", gr.version(), gr.version().startswith("3.10")


def _packages() -> Iterator[Row]:
    for distribution, module, purpose in PACKAGES:
        if importlib.util.find_spec(module) is None:
            text = f"not installed, only needed for {purpose}" if purpose else "not installed: run `make setup`"
            yield distribution, text, bool(purpose)
            continue
        found = _version(distribution)
        if distribution == "numpy" and found.split(".")[0] != "1":
            yield distribution, f"{found}, but GNU Radio 3.10 of Debian needs numpy below 2", False
        else:
            yield distribution, found, True


def _version(distribution: str) -> str:
    for name in (distribution, f"{distribution}-gpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "version unknown"


def _providers() -> Iterator[Row]:
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    yield "onnxruntime providers", " ".join(providers), "CPUExecutionProvider" in providers


def _codecs() -> Iterator[Row]:
    import av
    from PIL import features

    for name, feature in (("jpeg", "jpg"), ("webp", "webp"), ("avif", "avif"), ("jpeg2000", "jpg_2000")):
        found = bool(features.check(feature))
        yield f"codec: {name}", f"pillow, library {features.version(feature)}" if found else "not in this pillow", found
    try:
        av.codec.Codec("libx265", "w")
        yield "codec: hevc", f"libx265 in av {av.__version__}", True
    except ValueError:  # PyAV's error for an unknown codec is a ValueError
        yield "codec: hevc", "this av comes without libx265", False


def _speech() -> Iterator[Row]:
    from .codecs import amr_wb
    from .speech.synthesis.voices import Espeak, Flite

    for name, check in (("amr_wb", amr_wb.check_installed), ("flite", Flite().prepare), ("espeak", Espeak().prepare)):
        try:
            check()
            yield f"speech: {name}", "usable", True
        except ValueError as error:
            yield f"speech: {name}", f"not usable, only needed for speech: {error}", True


def _kernels() -> Iterator[Row]:
    from .kernels import library

    library()
    yield "kernels", "loaded", True


def _models() -> Iterator[Row]:
    from .zoo.model import Model, roots

    cards = sorted(card for root in roots() for card in root.glob("*/*/card.yml"))
    if not cards:
        yield "models", "none found; set SEMCOM_MODELS to their folder", False
    for card in cards:
        name = f"model: {card.parent.parent.name}/{card.parent.name}"

        def verified(name: str = name, folder: Path = card.parent) -> Iterator[Row]:
            yield name, f"verified, {Model(folder).folder}", True

        yield from _guarded(name, verified)


def _grc_blocks() -> Iterator[Row]:
    from .paths import grc_blocks

    yield "GRC blocks", str(grc_blocks()), True


def _radios() -> Iterator[Row]:
    from .radio import discover

    yield "radios: UHD", discover.usrps(), True
    yield "radios: SoapySDR", discover.soapy_radios(), True
