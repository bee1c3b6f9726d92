# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from files, whatever their mode, and back."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..message import Message

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_PICTURE = 64 * 2**20  # pixels; refused before anything is decoded
READABLE = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".gif", ".jp2", ".ppm", ".pgm")


def read_image(path: str | Path) -> Message:
    """A picture as message, uint8 [H, W, 3], RGB.

    Grey is repeated, transparency is put on white, CMYK is converted, 16 bits a sample are scaled to 8, the
    camera's rotation is applied, of an animation the first frame is taken. ValueError, in one line, for what is
    missing, not a picture, damaged, or larger than 64 Mpixel.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected a picture ({' '.join(READABLE)})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > LARGEST_PICTURE:
                    raise ValueError(f"{path}: {width}x{height} pixels; at most {LARGEST_PICTURE} pixels are accepted")
                picture.load()
                data = _to_rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError as error:
        raise ValueError(f"{path}: not a picture that can be read; expected one of {' '.join(READABLE)}") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: the picture is damaged or unreadable ({error})") from error
    return Message("image", data, {"name": path.name})


def _to_rgb(picture: Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 or 32 bits of grey: PIL would clip, not scale
        values = np.asarray(picture).astype(np.float64)
        if picture.mode == "F":
            raise OSError("floating-point pictures have no defined white")
        if values.min() < 0 or values.max() > 65535:
            raise OSError("32-bit pictures have no defined white")
        grey = np.round(values * (255 / 65535)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        from PIL import Image

        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    # PIL undoes the inversion that Adobe writes into CMYK JPEG files
    return np.ascontiguousarray(picture.convert("RGB"))


def write_png(path: Path, data: NDArray[np.uint8]) -> None:
    """Write uint8 [H, W, 3] as PNG, aside first and then renamed; makes the folder if need be."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    Image.fromarray(data).save(temporary, format="PNG", compress_level=3)
    os.replace(temporary, path)
