# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel library is found, loaded once, and named by what to do when it is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

from gnuradio.semcom import kernels


def test_the_library_is_loaded_once():
    assert kernels.library() is kernels.library()
    assert hasattr(kernels.library(), "semcom_ldpc_decode")


def test_a_missing_library_says_in_one_line_how_to_build_it(tmp_path):
    shutil.copy(kernels.__file__, tmp_path / "kernels.py")
    code = "import kernels\ntry:\n    kernels.library()\nexcept RuntimeError as error:\n    print(error)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.count("\n") == 1 and "make setup" in result.stdout and "cmake" in result.stdout
    assert Path(kernels.__file__).name == "kernels.py"
