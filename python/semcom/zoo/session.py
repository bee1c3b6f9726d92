# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX Runtime sessions as every model of ours gets them."""

from __future__ import annotations

import logging
import os
from typing import Any

log = logging.getLogger("semcom.zoo")
DEVICES = ("auto", "cpu", "cuda")
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def check_device(device: str) -> str:
    """The device; ValueError for an unknown one."""
    if device not in DEVICES:
        raise ValueError(f"device must be auto, cpu or cuda, not {device!r}")
    return device


def onnx_session(content: bytes, device: str, label: str) -> tuple[Any, str]:
    """A session of that ONNX file and the provider it got: one thread, no spinning, the graph is the parallelism.

    Asking for CUDA and getting the CPU is a warning that names `label`.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it would keep the peak of the largest picture for ever
    if os.environ.get("SEMCOM_ORT_OPTIMISE") == "off":  # to test that results do not depend on it
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    wanted = [CPU]
    if check_device(device) != "cpu" and CUDA in ort.get_available_providers():
        wanted.insert(0, CUDA)
        ort.preload_dlls()  # CUDA's libraries where they came as Python packages; says so itself if there are none
    session = ort.InferenceSession(content, options, providers=wanted)
    provider = session.get_providers()[0]
    if device == "cuda" and provider != CUDA:
        log.warning("CUDA was asked for, but %s runs on %s", label, provider)
    return session, provider
