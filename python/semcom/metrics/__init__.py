# SPDX-License-Identifier: GPL-3.0-or-later
"""What a received message is worth."""

from .image import image_metrics, ms_ssim, psnr_db, ssim

__all__ = ["image_metrics", "ms_ssim", "psnr_db", "ssim"]
