# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measured numbers are called, in which unit they stand, and which direction is good."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """`label` has the unit. `better` is 1 where higher is better, -1 where lower is, 0 where neither is.

    `log`: an error rate, drawn on a logarithmic axis. `machine`: depends on the processor, so numbers of two different
    processors are not compared.
    """

    label: str
    better: int = 0
    log: bool = False
    machine: bool = False


_TABLE = {
    # the axes of sweeps
    "esn0_db": Quantity("Es/N0 (dB)"),
    "ebn0_db": Quantity("Eb/N0 (dB)"),
    "mismatch_db": Quantity("assumed minus true Es/N0 (dB)"),
    "airtime": Quantity("airtime (symbols a message)"),
    "max_bpp": Quantity("limit (bit/pixel)"),
    "quality": Quantity("quality setting of the codec"),
    "mcs": Quantity("MCS"),
    "k": Quantity("information bits a block"),
    "n": Quantity("coded bits a block"),
    "list_size": Quantity("list size"),
    "rician_k": Quantity("Rician factor"),
    "max_iterations": Quantity("iterations allowed"),
    "seed": Quantity("seed"),
    # errors
    "bler": Quantity("block error rate", -1, log=True),
    "ber": Quantity("bit error rate", -1, log=True),
    "ser": Quantity("symbol error rate", -1, log=True),
    "message_error_rate": Quantity("message error rate", -1, log=True),
    "undetected": Quantity("undetected block errors", -1, log=True),
    "delivered": Quantity("messages delivered (share)", 1),
    "does_not_fit": Quantity("messages that fit no budget (share)", -1),
    "blocks": Quantity("code blocks a message"),
    "blocks_failed": Quantity("failed code blocks a message", -1),
    "concealed": Quantity("concealed parts a message", -1),
    "iterations": Quantity("mean iterations", -1),
    "mean_iterations": Quantity("mean iterations", -1),
    "transmissions": Quantity("mean transmissions", -1),
    "throughput_bit_symbol": Quantity("throughput (bit/symbol)", 1),
    # what was spent
    "bits": Quantity("bits a message"),
    "bits_per_pixel": Quantity("rate (bit/pixel)"),
    "bandwidth_compression_ratio": Quantity("bandwidth compression ratio"),
    "symbols_payload": Quantity("payload airtime (symbols a message)"),
    "symbols_total": Quantity("airtime (symbols a message)"),
    "symbols_capacity": Quantity("airtime at capacity (symbols a message)"),
    # quality
    "psnr_db": Quantity("PSNR (dB)", 1),
    "ssim": Quantity("SSIM", 1),
    "ms_ssim": Quantity("MS-SSIM", 1),
    "ms_ssim_db": Quantity("MS-SSIM (dB)", 1),
    "lpips": Quantity("LPIPS", -1),
    "dists": Quantity("DISTS", -1),
    "fid": Quantity("FID", -1),
    "cer": Quantity("character error rate", -1),
    "wer": Quantity("word error rate", -1),
    "bleu": Quantity("BLEU", 1),
    "delta_wer": Quantity("increase of the word error rate", -1),
    "predicted_mos": Quantity("predicted mean opinion score", 1),
    "symbols_per_second": Quantity("airtime (symbols a second of speech)"),
    "seconds": Quantity("length of an utterance (s)"),
    "similarity": Quantity("sentence similarity", 1),
    "stoi": Quantity("STOI", 1),
    "pesq": Quantity("PESQ", 1),
    "style_cosine": Quantity("cosine of the style that was sent, mean removed", 1),
    "speaker_cosine": Quantity("cosine of speaker embeddings, mean removed", 1),
    "emotion_cosine": Quantity("cosine of emotion embeddings, mean removed", 1),
    "emotion_accuracy": Quantity("emotion heard as named (share)", 1),
    "feature_mse": Quantity("mean squared error of the style", -1, log=True),
    "phoneme_error_rate": Quantity("phoneme error rate", -1, log=True),
    "fdsd": Quantity("Frechet deep speech distance", -1),
    "kdsd": Quantity("kernel deep speech distance", -1),
    # speed
    "messages_s": Quantity("messages a second", 1, machine=True),
    "blocks_s": Quantity("code blocks a second", 1, machine=True),
    "msymbol_s": Quantity("speed (Msymbol/s)", 1, machine=True),
    "mbit_s": Quantity("speed (Mbit/s of information)", 1, machine=True),
    "latency_p50_s": Quantity("latency, median (s)", -1, machine=True),
    "latency_p99_s": Quantity("latency, 99th percentile (s)", -1, machine=True),
    "elapsed_s": Quantity("time (s)", -1, machine=True),
    "rtf": Quantity("time over length of the speech", -1, machine=True),
}


def quantity(name: str) -> Quantity:
    """What is known of an axis or a metric; one that nobody knows has its own name as label and no good direction."""
    return _TABLE.get(name) or Quantity(name.removesuffix("_db").replace("_", " ") + " (dB)" * name.endswith("_db"))


PREFERRED = ("bler", "message_error_rate", "ber", "ser", "psnr_db", "ms_ssim", "cer", "wer", "similarity", "fdsd")
"""Which metric a figure shows where nobody chose one."""
