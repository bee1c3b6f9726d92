# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings: what is written is read again, by others too; what is cut short or no recording is told so."""

import json

import numpy as np
import pytest

from gnuradio.semcom.radio import sigmf


@pytest.fixture
def recording(tmp_path):
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(2 * 100_000, np.float32)).view(np.complex64)
    path = tmp_path / "air.sigmf-meta"
    samples.astype("<c8").tofile(sigmf.data_path(path))
    notes = [
        sigmf.annotation(60_000, 40_000, "ncsc", id=2, model="mse", sent_at=sigmf.timestamp(2.5), mcs=None),
        sigmf.annotation(100, 5000, "ncsc", id=1),
    ]
    sigmf.write_meta(path, 1e6, notes, 1.0, 868.3e6, "a test")
    return path, samples


def test_samples_and_annotations_come_back(recording):
    path, samples = recording
    found = sigmf.read(path)
    assert (found.datatype, found.sample_rate_hz, found.samples, found.missing) == ("cf32_le", 1e6, 100_000, 0)
    assert np.array_equal(np.concatenate(list(found.pieces())), samples)
    assert [note["semcom:id"] for note in found.annotations] == [1, 2]  # in order of place
    assert found.annotations[1]["semcom:sent_at"] == "1970-01-01T00:00:02.500000Z"
    assert "semcom:mcs" not in found.annotations[1]
    capture = json.loads(path.read_text())["captures"][0]
    assert capture["core:datetime"] == "1970-01-01T00:00:01.000000Z" and capture["core:frequency"] == 868.3e6


def test_the_reference_package_reads_and_validates_it(recording):
    package = pytest.importorskip("sigmf")
    path, samples = recording
    handle = package.sigmffile.fromfile(str(path))
    handle.validate()
    assert np.array_equal(handle.read_samples(), samples)
    assert handle.get_annotations()[1]["semcom:model"] == "mse"


@pytest.mark.parametrize("datatype", sorted(sigmf.DATATYPES))
def test_other_programs_datatypes_are_read(datatype, tmp_path):
    package = pytest.importorskip("sigmf")
    dtype, zero, scale = sigmf.DATATYPES[datatype]
    wanted = (np.exp(2j * np.pi * np.arange(1000) / 50) * 0.7).astype(np.complex64)
    parts = wanted.view(np.float32) * scale + zero
    if np.dtype(dtype).kind in "iu":
        parts = np.rint(parts)
    path = tmp_path / "a.sigmf-meta"
    parts.astype(dtype).tofile(sigmf.data_path(path))
    made = package.SigMFFile(
        data_file=str(sigmf.data_path(path)),
        global_info={"core:datatype": datatype, "core:sample_rate": 2e6, "core:version": "1.0.0"},
    )
    made.add_capture(0)
    made.tofile(str(path))
    found = sigmf.read(path)
    assert found.sample_rate_hz == 2e6
    got = np.concatenate(list(found.pieces()))
    assert got.size == 1000 and np.max(np.abs(got - wanted)) < 0.01


def test_a_recording_cut_short_says_how_much_is_missing(recording):
    path, samples = recording
    data = sigmf.data_path(path)
    data.write_bytes(data.read_bytes()[: 8 * 70_000 + 5])
    found = sigmf.read(path)
    assert (found.samples, found.missing) == (70_000, 30_000)
    assert np.array_equal(np.concatenate(list(found.pieces())), samples[:70_000])
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="cut short"):
        sigmf.read(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("global"), "no core:datatype"),
        (lambda c: c["global"].update({"core:datatype": "rf32_le"}), "expected one of"),
        (lambda c: c["global"].update({"core:datatype": ["cf32_le"]}), "expected one of"),
        (lambda c: c["global"].update({"core:num_channels": 2}), "2 channels"),
    ],
)
def test_what_is_no_recording_is_refused(recording, change, says):
    path, _ = recording
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=says):
        sigmf.read(path)


def test_missing_and_empty_files_are_named(recording, tmp_path):
    path, _ = recording
    with pytest.raises(ValueError, match="cannot read"):
        sigmf.read(tmp_path / "none.sigmf-meta")
    sigmf.data_path(path).write_bytes(b"1234567")
    with pytest.raises(ValueError, match="no samples"):
        sigmf.read(path)
    sigmf.data_path(path).unlink()
    with pytest.raises(ValueError, match="the samples of"):
        sigmf.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no SigMF file"):
        sigmf.read(path)
