# SPDX-License-Identifier: GPL-3.0-or-later
"""Sweep files: what they mean, and that every mistake is told with its line."""

import pytest
from bench_helpers import QUICK, sweep_file

from gnuradio.semcom.bench import axes
from gnuradio.semcom.bench.sweep import read_sweep, setting


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0:12:4", [0, 4, 8, 12]),
        ("0:3", [0, 1, 2, 3]),
        ("0:0.3:0.1", [0, 0.1, 0.2, 0.3]),
        ("3:1:-1", [3, 2, 1]),
        ("-2:2:2", [-2, 0, 2]),
        ("1:1", [1]),
        ("0:1:0.4", [0, 0.4, 0.8]),
        (5, [5]),
        ("16qam-1/3", ["16qam-1/3"]),
        (["a", "1:2", 7], ["a", 1, 2, 7]),
    ],
)
def test_a_range_holds_its_end_and_a_list_all_its_items(given, expected):
    assert axes.values(given) == expected


@pytest.mark.parametrize("given", ["3:1", "1:3:-1", "0:1:0", []])
def test_an_empty_range_is_refused(given):
    with pytest.raises(ValueError, match="empty"):
        axes.values(given)


def test_the_command_line_gives_ranges_lists_and_words():
    assert setting("esn0-db=0:12:6") == ("esn0_db", [0, 6, 12])
    assert setting("mcs=qpsk-1/3,16qam-1/3") == ("mcs", ["qpsk-1/3", "16qam-1/3"])
    assert setting("esn0_db=1,3:4,7.5") == ("esn0_db", [1, 3, 4, 7.5])
    assert setting("input_path=photos/a.png") == ("input_path", ["photos/a.png"])
    for wrong in ("esn0_db", "=3", "esn0_db=1,,2", "a b=3"):
        with pytest.raises(ValueError, match="--set"):
            setting(wrong)


def test_points_are_all_combinations_with_the_axis_rising(tmp_path):
    text = """
    defaults: {kind: code, esn0_db: [4, 2, 3], k: 100, n: 300, modulation: qpsk}
    curves:
      - {label: "{channel}, {max_iterations} iterations", channel: [awgn, rayleigh], max_iterations: [5, 10]}
    """
    sweep = read_sweep(sweep_file(tmp_path, text))
    assert sweep.curves == (
        "awgn, 5 iterations", "awgn, 10 iterations", "rayleigh, 5 iterations", "rayleigh, 10 iterations",
    )  # fmt: skip
    assert [job.axis["esn0_db"] for job in sweep.jobs[:3]] == [2, 3, 4]
    assert len({job.seed for job in sweep.jobs}) == len({job.name for job in sweep.jobs}) == 12
    assert all(job.settings["alpha"] == 0.7 for job in sweep.jobs)


def test_a_curve_without_a_label_says_what_it_is(tmp_path):
    text = "curves: [{kind: code, mcs: [qpsk-1/2, 16qam-1/2], esn0_db: 1}]"
    assert read_sweep(sweep_file(tmp_path, text)).curves == (
        "LDPC (1536, 3072) qpsk, awgn, mcs qpsk-1/2", "LDPC (1536, 3072) 16qam, awgn, mcs 16qam-1/2",
    )  # fmt: skip


def test_several_seeds_are_repetitions_of_one_curve(tmp_path):
    sweep = read_sweep(sweep_file(tmp_path, QUICK.replace("seed: 5", "seed: 1:3")))
    assert sweep.curves == ("short", "Rayleigh")
    assert sorted({job.axis["seed"] for job in sweep.jobs}) == [1, 2, 3]
    assert len({job.seed for job in sweep.jobs}) == len(sweep.jobs)


def test_the_seed_of_a_point_depends_on_its_settings_and_not_on_its_place(tmp_path):
    short = read_sweep(sweep_file(tmp_path, QUICK))
    longer = read_sweep(sweep_file(tmp_path, QUICK.replace("0:6:1", "-2:6:0.5").replace("errors: 20", "errors: 99")))
    seeds = {job.name: job.seed for job in longer.jobs}
    assert all(seeds[job.name] == job.seed for job in short.jobs)
    other = read_sweep(sweep_file(tmp_path, QUICK.replace("max_iterations: 10", "max_iterations: 11")))
    assert not {job.seed for job in other.jobs} & {job.seed for job in short.jobs}


def test_settings_can_be_changed_from_outside(tmp_path):
    sweep = read_sweep(sweep_file(tmp_path, QUICK), {"esn0_db": [1, 2], "max_iterations": [7]})
    assert len(sweep.jobs) == 4 and all(job.settings["max_iterations"] == 7 for job in sweep.jobs)
    with pytest.raises(ValueError, match="no curve of .* has such a setting"):
        read_sweep(sweep_file(tmp_path, QUICK), {"airtime": [100]})


WRONG = {
    "an unknown key": ("title: A", "titel: A", 2, "did you mean 'title'"),
    "an unknown setting": ("k: 128", "kk: 128", 5, "unknown key 'kk' of defaults"),
    "an unknown setting of a curve": ("fading: symbol", "fadding: symbol", 9, "did you mean 'fading'"),
    "another name for the SNR": ("esn0_db: 0:6:1", "snr_db: 0:6:1", 5, "SNR is esn0_db here"),
    "a unit in a number": ("esn0_db: 0:6:1", "esn0_db: 3 dB", 5, "esn0_db must be a number (dB), not '3 dB': write 3"),
    "an empty range": ("esn0_db: 0:6:1", "esn0_db: 3:0:1", 5, "the range 3:0:1 is empty"),
    "an empty list": ("esn0_db: 0:6:1", "esn0_db: []", 5, "an empty list"),
    "an impossible number": ("esn0_db: 0:6:1", "esn0_db: 1000", 5, "esn0_db must be from -100 to 100 (dB)"),
    "half a bit": ("k: 128", "k: 12.5", 5, "k must be a whole number"),
    "a wrong name": ("channel: rayleigh", "channel: raleigh", 9, "channel must be one of awgn, rayleigh, rician"),
    "more bits in than out": ("n: 256", "n: 100", 5, "k must be from 1 to n = 100"),
    "half a symbol": ("n: 256", "n: 257", 5, "n must be a multiple of the 2 bits of a qpsk symbol"),
    "a setting of another code": ("max_iterations: 10", "list_size: 4", 5, "list_size belongs to code polar"),
    "an unknown rule": ("errors: 20", "errrors: 20", 6, "did you mean 'errors'"),
    "a negative target": ("errors: 20", "errors: -1", 6, "errors must be a whole number of at least 0"),
    "an unknown bound": ("[capacity]", "[shannon]", 4, "bounds must be out of capacity"),
    "an unknown kind": ("kind: code", "kind: codes", 5, "kind must be one of system, code, flowgraph"),
    "a key given twice": ("title: A quick", "seed: 6\ntitle: A quick", 4, "seed is given twice"),
    "no YAML": ("label: short", "label: [short", 9, "not YAML"),
    "a label of nothing": ("label: short", 'label: "{nothing}"', 8, "names no setting"),
    "two curves of one name": ("label: Rayleigh", "label: short", 0, "give the curves other labels"),
    "a wrong seed": ("seed: 5", "seed: x", 3, "seed must be a whole number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_with_its_line(name, tmp_path):
    old, new, line, message = WRONG[name]
    assert old in QUICK
    path = sweep_file(tmp_path, QUICK.replace(old, new))
    with pytest.raises(ValueError) as caught:
        read_sweep(path)
    told = str(caught.value)
    assert message in told and "\n" not in told
    if line:
        assert told.startswith(f"{path}, line {line}: "), told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a sweep must be keys with values"),
        ("- 1", "a sweep must be keys with values"),
        ("title: x", "a sweep needs curves"),
        ("curves: 3", "a sweep needs curves"),
        ("curves: [3]", "line 1: a curve must be keys"),
        ("curves: [{kind: code}]", "k is missing"),
        ("curves: [{esn0_db: 3}]", "system is missing"),
        ("curves: [{kind: flowgraph}]", "flowgraph is missing"),
        ("curves: [{kind: code, esn0_db: 0:1:0.00001, mcs: 16qam-1/3}]", "expected at most"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_sweep_is_told_in_one_line(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_sweep(sweep_file(tmp_path, text))


def test_a_small_file_that_unfolds_into_a_large_one_is_refused(tmp_path):
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)]
    with pytest.raises(ValueError, match="more than 100000 values"):
        read_sweep(sweep_file(tmp_path, "\n".join(lines)))


def test_a_missing_or_binary_file_is_told(tmp_path):
    with pytest.raises(ValueError, match="cannot read"):
        read_sweep(tmp_path / "none.yml")
    (tmp_path / "b.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        read_sweep(tmp_path / "b.yml")


def test_inputs_start_at_the_folder_of_the_sweep_file(tmp_path, monkeypatch):
    text = "curves: [{system: jpeg, inputs: pictures, max_bpp: 1}]"
    (job,) = read_sweep(sweep_file(tmp_path, text)).jobs
    assert job.settings["inputs"] == str(tmp_path / "pictures")
    monkeypatch.delenv("SEMCOM_NOWHERE", raising=False)
    (job,) = read_sweep(sweep_file(tmp_path, text.replace("pictures", "$SEMCOM_NOWHERE/kodak"))).jobs
    from gnuradio.semcom.bench.system import inputs_of

    with pytest.raises(ValueError, match="SEMCOM_NOWHERE is not set"):
        inputs_of(job.settings)
