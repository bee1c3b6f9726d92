# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to tensors and back, and tensors to payloads and back, as a card says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...message import Bits, Message, Symbols
from .card import FLOATS, Card
from .shapes import SYMBOLS, Tensor

LARGEST_SYMBOL = 100.0  # real or imaginary part; the mean energy is 1, and a deep fade must not overflow a network
Sizes = dict[str, int]
Array = NDArray[Any]


def message_sizes(card: Card, shape: tuple[int, ...]) -> Sizes:
    """The symbols' values for a message of that shape, padded to the card's grain."""
    sizes = zip(SYMBOLS[card.message], shape, strict=False)
    return {symbol: -(-max(size, 1) // card.grain[symbol]) * card.grain[symbol] for symbol, size in sizes}


def pad(card: Card, data: Array) -> Array:
    """The message's array padded at its ends: pictures by their edge, speech and text by zeros."""
    wanted = message_sizes(card, data.shape).values()
    widths = [(0, size - old) for size, old in zip(wanted, data.shape, strict=False)]
    if not any(after for _, after in widths):
        return data
    if card.message == "image":
        return np.pad(data, [*widths, (0, 0)], mode="edge")
    return np.pad(data, widths)


def tiles(card: Card, data: Array) -> list[Array]:
    """The padded array cut into tiles in reading order; as a whole where the card has no tile."""
    if not card.tile:
        return [data]
    size = list(card.tile.values())
    if card.message != "image":
        return [data[n : n + size[0]] for n in range(0, len(data), size[0])]
    rows, columns = range(0, data.shape[0], size[0]), range(0, data.shape[1], size[1])
    return [data[y : y + size[0], x : x + size[1]] for y in rows for x in columns]


def join(card: Card, parts: list[Array], sizes: Sizes) -> Array:
    """Tiles back together."""
    if not card.tile or card.message != "image":
        return np.concatenate(parts)
    across = sizes["W"] // card.tile["W"]
    return np.concatenate([np.concatenate(parts[n : n + across], 1) for n in range(0, len(parts), across)])


def tile_sizes(card: Card, sizes: Sizes) -> tuple[Sizes, int]:
    """The symbols' values within one tile, and the number of tiles."""
    if not card.tile:
        return sizes, 1
    return card.tile, int(np.prod([sizes[symbol] // card.tile[symbol] for symbol in card.tile]))


def _axes(card: Card, tensor: Tensor) -> list[str]:
    """The message's axes in the tensor's order."""
    return [axis.text for axis in tensor.axes if axis.text != "1"]


def _own_axes(card: Card) -> list[str]:
    return ["H", "W", "3"] if card.message == "image" else ["N"]


def to_tensor(card: Card, data: Array) -> Array:
    """A tile, uint8 [H, W, 3], float32 [N] or uint8 [N], as the encoder's input."""
    tensor = card.encoder.input
    if tensor.dtype in FLOATS and card.message != "text":
        low, high = card.range
        unit = data.astype(np.float32) / np.float32(255) if card.message == "image" else (data + np.float32(1)) / 2
        data = unit * np.float32(high - low) + np.float32(low)
    own = _own_axes(card)
    data = data.transpose([own.index(axis) for axis in _axes(card, tensor)])
    sizes = dict(zip(_axes(card, tensor), data.shape, strict=True))
    shape = [sizes.get(axis.text, 1) for axis in tensor.axes]
    return np.ascontiguousarray(data.reshape(shape), tensor.dtype)


def from_tensor(card: Card, array: Array) -> Array:
    """The decoder's output as a tile of the message."""
    tensor = card.decoder.output
    order = _axes(card, tensor)
    sizes = [size for size, axis in zip(array.shape, tensor.axes, strict=True) if axis.text != "1"]
    data = array.reshape(sizes).transpose([order.index(axis) for axis in _own_axes(card)])
    if card.message == "text":
        return np.clip(data, 0, 255).astype(np.uint8)
    if tensor.dtype == "uint8":
        return data
    low, high = card.range
    unit = (data.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    if card.message == "image":
        return np.clip(np.rint(unit * 255), 0, 255).astype(np.uint8)
    return np.clip(unit * 2 - 1, -1, 1).astype(np.float32)


def valid_text(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of the same number that are UTF-8: a question mark for each that is not."""
    text = data.tobytes().decode("utf-8", "surrogateescape")
    kept = "".join("?" if "\udc80" <= character <= "\udcff" else character for character in text)
    return np.frombuffer(kept.encode(), np.uint8)


def to_bits(card: Card, values: Array) -> Bits:
    """Logits or indices, any shape, to bits, the most significant of an index first.

    ValueError for an index that the card does not have.
    """
    flat = values.ravel()
    if card.code == "logits":
        return (flat > card.threshold).astype(np.uint8)
    wrong = flat[(flat < 0) | (flat >= card.levels)]
    if wrong.size:
        raise ValueError(f"index {wrong[0]}; levels: {card.levels} allows 0 to {card.levels - 1}")
    shifts = np.arange(card.bits_per_index - 1, -1, -1)
    return ((flat.astype(np.int64)[:, None] >> shifts) & 1).astype(np.uint8).ravel()


def from_bits(card: Card, bits: Bits) -> Array:
    """Received bits to the decoder's values, flat; an index past the last, which only damage makes, is the last."""
    dtype = np.dtype(card.decoder.input.dtype)
    if card.code == "logits":
        return np.asarray(card.bit_values, dtype)[bits]
    weights = 1 << np.arange(card.bits_per_index - 1, -1, -1)
    return np.minimum(bits.reshape(-1, card.bits_per_index) @ weights, card.levels - 1).astype(dtype)


def to_symbols(card: Card, values: Array) -> Symbols:
    """Reals to complex symbols, consecutive values in pairs, an odd one with a zero; unit mean energy if so asked."""
    flat = values.astype(np.float32).ravel()
    symbols = np.append(flat, np.zeros(flat.size % 2, np.float32)).view(np.complex64)
    energy = mean_energy(symbols)
    if card.power == "unit" and energy > 0:
        symbols = (symbols / np.float32(np.sqrt(energy))).astype(np.complex64)
    return symbols


def mean_energy(symbols: Symbols) -> float:
    """Mean of |s|^2 in double precision, 0 of none."""
    return float(np.mean(np.abs(symbols.astype(np.complex128)) ** 2)) if symbols.size else 0.0


def from_symbols(card: Card, symbols: Symbols, count: int) -> Array:
    """Received symbols to `count` of the decoder's values, flat, limited to what no channel at work exceeds."""
    reals = np.ascontiguousarray(symbols, np.complex64).view(np.float32)[:count]
    finite = np.nan_to_num(reals, nan=0.0, posinf=LARGEST_SYMBOL, neginf=-LARGEST_SYMBOL)
    return np.clip(finite, -LARGEST_SYMBOL, LARGEST_SYMBOL).astype(card.decoder.input.dtype)


def as_message(card: Card, data: Array, shape: tuple[int, ...]) -> Message:
    """The padded array cut to the message's shape."""
    data = data[: shape[0], : shape[1]] if card.message == "image" else data[: shape[0]]
    data = valid_text(data) if card.message == "text" else data
    return Message(card.message, np.ascontiguousarray(data))
