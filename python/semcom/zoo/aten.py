# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of PyTorch's own operators ("aten") a model may use: functions of their inputs, and nothing else."""

from __future__ import annotations

from functools import cache

# of what has no seed of its own: other state than the tensors, or the world outside
FORBIDDEN = frozenset(
    "save load from_file manual_seed seed initial_seed set_grad_enabled warn warns wait fork get_gradients backward"
    " set_data record_stream resize_ set_ hash _print".split()
)
# random in training only; whether that is off is checked where the arguments are known, and by running twice
SWITCHED = frozenset(
    "dropout dropout_ native_dropout feature_dropout feature_dropout_ alpha_dropout alpha_dropout_"
    " feature_alpha_dropout feature_alpha_dropout_ rrelu rrelu_ rrelu_with_noise rrelu_with_noise_ lstm gru rnn_tanh"
    " rnn_relu scaled_dot_product_attention".split()
)


@cache
def refusal(name: str) -> str | None:
    """Why the operator aten::`name` is refused, None if it is not."""
    import torch

    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    if not schemas:
        return f"custom or unknown operator {name}"
    arguments = {argument.name for schema in schemas for argument in schema.arguments}
    if name in FORBIDDEN or arguments & {"filename", "file"}:
        return f"operator {name}, which reaches outside the model"
    packet = getattr(torch.ops.aten, name, None)
    overloads = [getattr(packet, overload) for overload in packet.overloads()] if packet is not None else []
    random = any(torch.Tag.nondeterministic_seeded in overload.tags for overload in overloads)
    if name not in SWITCHED and (random or "generator" in arguments):
        return f"random operator {name}"
    return None
