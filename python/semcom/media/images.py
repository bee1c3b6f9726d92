# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from and to files. Whatever the file holds comes out as uint8 [H, W, 3], RGB, or is refused by name."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..message import Message

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 1 << 26
"""Larger pictures are refused before they are decoded (67 million pixels are 201 MB of RGB)."""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
"""What is read. Formats that start other programs (EPS) or are no photographs stay out."""

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .avif .tif .tiff .bmp .gif .ppm .pgm .pbm .pnm .jp2 .j2k .jpx".split()
)


def read_image(path: str | os.PathLike[str]) -> Message:
    """The picture in a file as a message of kind "image": uint8 [H, W, 3], `meta["name"]` the file's name.

    Grey becomes three equal channels, 16 bit is scaled to 8 (65535 to 255), transparency is composited on white,
    CMYK is converted by the embedded profile or else by (255-C)(255-K)/255, the EXIF orientation is applied, and of
    an animation the first frame is taken. Raises ValueError, one line, for everything that cannot be read so.
    """
    file = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pixel count is bounded here, and metadata faults are not the picture's
        picture = _open(file)
        try:
            data = _rgb(picture, file)
        except ValueError:
            raise
        except Exception as error:  # hostile files make decoders raise nearly anything
            raise ValueError(f"cannot decode the picture {file}: {_line(error)}; is the file complete?") from error
        finally:
            picture.close()
    return Message("image", data, {"name": file.name})


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether the file has a picture's suffix and header; nothing is decoded."""
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _open(file).close()
    except ValueError:
        return False
    return True


def write_png(path: str | os.PathLike[str], data: NDArray[np.uint8]) -> None:
    """Write uint8 [H, W, 3] as PNG; the file appears whole or not at all, its folder is made.

    ValueError, one line, where it cannot be written.
    """
    from PIL import Image

    if data.dtype != np.uint8 or data.ndim != 3 or data.shape[2] != 3 or not data.size:
        raise ValueError(f"a picture must be uint8 [H, W, 3], got {data.dtype} {list(data.shape)}")
    file = Path(path)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(data)).save(buffer, "PNG")
    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(buffer.getvalue())
        os.replace(aside, file)
    except OSError as error:
        try:
            aside.unlink(missing_ok=True)
        except OSError:
            pass  # the first error is the one to tell
        raise ValueError(f"cannot write {file}: {error.strerror}; choose a folder that can be written") from error


def _open(file: Path) -> Image.Image:
    """The file with its header read, its size within bounds."""
    from PIL import Image, UnidentifiedImageError

    expected = f"expected a picture ({', '.join(FORMATS)})"
    try:
        if file.is_dir():
            raise ValueError(f"{file} is a folder: {expected}")
        if not file.is_file():
            raise ValueError(f"no such picture: {file}; check the path")
        picture = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError(f"{file} is not a picture that can be read: {expected}") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"the picture {file} is too large: at most {MAX_PIXELS} pixels; scale it down") from error
    except ValueError as error:
        if "embedded null" in str(error):
            raise ValueError(f"not a path: {str(file)!r}") from error
        raise
    except OSError as error:
        raise ValueError(f"cannot read {file}: {_line(error)}; {expected}") from error
    except Exception as error:  # a broken header makes some readers raise KeyError, struct.error and others
        raise ValueError(f"cannot read {file}: {_line(error)}; {expected}") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        picture.close()
        raise ValueError(
            f"the picture {file} is too large: {width}x{height}, at most {MAX_PIXELS} pixels; scale it down"
        )
    if width * height == 0:
        picture.close()
        raise ValueError(f"the picture {file} is empty: {width}x{height}")
    return picture


def _rgb(picture: Image.Image, file: Path) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of an opened picture."""
    from PIL import Image, ImageOps

    picture.load()
    picture = ImageOps.exif_transpose(picture)
    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and picture.format in ("PNG", "PPM")):
        # Pillow would clip to 255 here, not scale
        values = np.asarray(picture).astype(np.int64)
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if mode == "CMYK":
        return np.array(_from_cmyk(picture))
    if picture.has_transparency_data:
        above = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", above.size, (255, 255, 255, 255)), above)
    elif mode not in ("1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV", "LA", "PA", "RGBA"):
        raise ValueError(
            f"the picture {file} has pixels of kind {mode!r}: expected 8 or 16 bit grey, RGB, CMYK or a palette; "
            "convert it first"
        )
    return np.array(picture.convert("RGB"))


def _from_cmyk(picture: Image.Image) -> Image.Image:
    """sRGB by the embedded profile where there is a good one. Pillow has undone Adobe's inversion already."""
    profile: Any = picture.info.get("icc_profile")
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile is not a reason to refuse the picture
    return picture.convert("RGB")


def _line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
