# SPDX-License-Identifier: GPL-3.0-or-later
"""What a received message is worth, in numbers that strict JSON can hold."""

from .image import (
    bandwidth_compression_ratio,
    bits_per_pixel,
    image_metrics,
    ms_ssim,
    psnr_db,
    ssim,
)

__all__ = ["bandwidth_compression_ratio", "bits_per_pixel", "image_metrics", "ms_ssim", "psnr_db", "ssim"]
