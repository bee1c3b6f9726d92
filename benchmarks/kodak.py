# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality at equal bit rates on a folder of photographs, each message through the whole link.

    .venv/bin/python benchmarks/kodak.py --input FOLDER [--output benchmarks/kodak.json]

Every picture goes through LDPC, 16-QAM 1/3 and AWGN at Es/N0 6 dB as a real bit stream. The caps hold for each
picture; `over` counts the pictures that no quality of the codec brought under the cap and that were sent at the
lowest one. `ci95` is half the width of the 95 % interval of the mean over pictures (normal approximation).
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.output import progress_bar, versions
from gnuradio.semcom.report import table

SYSTEMS = ("ncsc", "jpeg", "webp", "avif", "hevc")
CAPS = (0.1, 0.125, 0.173)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="default: kodak/ below the folder that SEMCOM_DATA names")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/kodak.json"))
    arguments = parser.parse_args()
    folder = arguments.input or (Path(os.environ["SEMCOM_DATA"]) / "kodak" if "SEMCOM_DATA" in os.environ else None)
    if folder is None:
        print("skipped: neither --input nor SEMCOM_DATA names photographs")
        return
    messages = [read_image(item.path) for item in list_inputs(folder)]
    rows = []
    bar = progress_bar(len(SYSTEMS) * len(CAPS) * len(messages), "messages")
    for cap in CAPS:
        for system in SYSTEMS:
            records = []
            for _, record in Link(system, esn0_db=6.0, max_bpp=cap, over_budget="lowest").run(messages):
                records.append(record)
                bar.update()
            row: dict[str, object] = {
                "system": system,
                "max_bpp": cap,
                "messages": len(records),
                "delivered": sum(r["delivered"] for r in records),
                "over": sum(r["metrics"]["bits_per_pixel"] > cap for r in records),
            }
            for name in ("bits_per_pixel", "psnr_db", "ms_ssim"):
                values = np.array([r["metrics"][name] for r in records])
                row[name] = round(float(values.mean()), 4)
                row[f"{name}_ci95"] = round(float(1.96 * values.std(ddof=1) / np.sqrt(len(values))), 4)
            rows.append(row)
    bar.close()
    columns = ("system", "max_bpp", "bits_per_pixel", "psnr_db", "psnr_db_ci95", "ms_ssim", "over", "delivered")
    print(table(columns, [[str(row[c]) for c in columns] for row in rows]))
    result = {"command": "python benchmarks/kodak.py --input kodak", "versions": versions(), "rows": rows}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
