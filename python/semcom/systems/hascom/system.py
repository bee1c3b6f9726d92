# SPDX-License-Identifier: GPL-3.0-or-later
"""HASCom as a system of the registry. Nothing heavy is imported until speech comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...message import SAMPLE_RATE, Message, Meta, Payload, Received
from ...metrics.voice import feature_mse, phoneme_error_rate, style_cosine
from ...speech import phonemes as sounds
from ...speech import recognisers
from ..base import Request, System
from . import modes
from .content import LOST, from_bits, to_bits
from .modes import Mode

if TYPE_CHECKING:
    from .codec import Codec, Floats, Phonemes

LOST_NOISE_VAR = 10.0  # noisier symbols, -10 dB, tell nothing of a voice


class Hascom(System):
    """Speech as phonemes, 6 protected bits each, and a voice, 64 analog symbols; spoken anew at the receiver."""

    name = modes.NAME
    title = "phonemes over LDPC/QAM and a voice as analog symbols, spoken by a diffusion model (HASCom)"
    kind = "speech"
    payload = "both"
    phy = {"mcs": "qpsk-1/2"}  # noqa: RUF012

    def models(self) -> list[str]:
        """Installed variants, each also with 50 steps, HiFi-GAN, and with both parts sent one way."""
        return modes.names()

    def variants(self, model: str) -> list[str]:
        """The model folder behind a name."""
        return [modes.parse(model).variant]

    def check(self, request: Request) -> None:
        """Also refuses a quality, and an installation without model, espeak-ng or recogniser."""
        mode = modes.parse(request.model)
        if request.quality:
            raise ValueError(f"hascom has one quality, 0, not {request.quality}")
        sounds.check_installed()
        modes.reader_of(mode)

    def prepare(self, request: Request) -> None:
        """Load the model, the vocoder and the recogniser."""
        from ...speech.vocoder import open_vocoder

        mode = modes.parse(request.model)
        self._codec(mode, request.device)
        open_vocoder(mode.vocoder, request.device)
        recognisers.get(modes.reader_of(mode), request.device).prepare()

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._codec(modes.parse(model), device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Phonemes of what the recogniser reads, and the style; None where they do not fit."""
        mode = modes.parse(request.model)
        audio = np.asarray(message.data, np.float32).reshape(-1)
        text = recognisers.recognise(modes.reader_of(mode), audio, request.device)
        return self.payload_of(sounds.phonemes(text), audio, request)

    def payload_of(self, phonemes: Phonemes, audio: Floats, request: Request) -> Payload | None:
        """The payload of phonemes in the style of speech [n]; nothing said is a pause."""
        mode = modes.parse(request.model)
        codec = self._codec(mode, request.device)
        style = codec.style(audio)
        content = to_bits(phonemes if len(phonemes) else np.array([sounds.PAUSE]))
        if mode.streams == "digital":
            payload = Payload(bits=np.concatenate([codec.style_bits(style), content]))
        elif mode.streams == "analog":
            payload = Payload(symbols=np.concatenate([codec.style_symbols(style), on_air(content)]))
        else:
            payload = Payload(bits=content, symbols=codec.style_symbols(style))
        over_bits = request.max_bits is not None and len(payload.bits) > request.max_bits
        over_symbols = request.max_symbols is not None and len(payload.symbols) > request.max_symbols
        return None if over_bits or over_symbols else payload

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The speech: silence for phonemes of failed blocks, the neutral voice where none came; both count."""
        from .codec import silence, spoken_samples, with_edges

        mode = modes.parse(model)
        codec = self._codec(mode, device)
        phonemes, style = self.arrived(received, mode, codec)
        lost = int((phonemes == LOST).sum()) + (style is None)
        told: Meta = {"phonemes": phonemes.tolist()}
        told |= {} if style is None else {"style": [round(float(value), 5) for value in style]}
        if len(phonemes) == 0 or (phonemes == LOST).all():
            return _speech(silence(len(phonemes)), told), max(lost, 1)
        voice = codec.style_encoder.neutral if style is None else style
        spoken = codec.speak(with_edges(phonemes), voice, mode.steps)
        return _speech(spoken_samples(spoken.mel, mode.vocoder, device), told), lost

    def compare(self, sent: Message, arrived: Meta, model: str = "", device: str = "auto") -> dict[str, float | None]:
        """`phoneme_error_rate` of received from sent phonemes, `style_cosine` and `feature_mse` of received from sent
        style; a style that never came has cosine 0, and the error of the neutral one."""
        mode = modes.parse(model)
        codec = self._codec(mode, device)
        audio = np.asarray(sent.data, np.float32).reshape(-1)
        text = recognisers.recognise(modes.reader_of(mode), audio, device)
        phonemes, style = sounds.phonemes(text).tolist() or [sounds.PAUSE], codec.style(audio)
        got = arrived.get("style")
        after = codec.style_encoder.neutral if got is None else np.asarray(got, np.float32)
        return {
            "phoneme_error_rate": phoneme_error_rate(phonemes, arrived.get("phonemes", [])),
            "style_cosine": 0.0 if got is None else style_cosine(style, after, codec.style_encoder.mean),
            "feature_mse": feature_mse(style, after),
        }

    def arrived(self, received: Received, mode: Mode, codec: Codec) -> tuple[Phonemes, Floats | None]:
        """Phonemes, LOST among them, and the style, None where it is lost."""
        from .codec import STYLE_SYMBOLS

        if mode.streams == "digital":
            count = codec.quantised_style_bits
            known = len(received.bits) >= count and received.bits_ok[:count].all()
            style = codec.style_of_bits(received.bits[:count]) if known else None
            return from_bits(received.bits[count:], received.bits_ok[count:]), style
        symbols, noise_var = received.symbols[:STYLE_SYMBOLS], received.noise_var[:STYLE_SYMBOLS]
        heard = len(symbols) == STYLE_SYMBOLS and bool(np.isfinite(symbols).all())
        heard = heard and float(np.median(noise_var)) < LOST_NOISE_VAR
        style = codec.received_style(symbols) if heard else None
        if mode.streams == "analog":
            bits = off_air(received.symbols[STYLE_SYMBOLS:])
            return from_bits(bits, np.ones(len(bits), np.bool_)), style
        return from_bits(received.bits, received.bits_ok), style

    def _codec(self, mode: Mode, device: str) -> Codec:
        from .codec import codec

        return codec(mode.variant, device)


def on_air(bits: np.ndarray) -> np.ndarray:
    """A bit a symbol, without a code, complex64 [n] of energy 1: as long on air as with QPSK and a code of rate 1/2."""
    return (1 - 2 * bits.astype(np.float32)).astype(np.complex64)


def off_air(symbols: np.ndarray) -> np.ndarray:
    """The nearest bits, uint8 [n]."""
    return (symbols.real < 0).astype(np.uint8)


def _speech(samples: np.ndarray, arrived: Meta) -> Message:
    about = {"sample_rate": SAMPLE_RATE, "arrived": arrived}
    return Message("speech", np.ascontiguousarray(samples, np.float32), about)


SYSTEM = Hascom()
