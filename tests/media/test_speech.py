# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of every kind come in as 16 kHz mono; what is none is refused in one line; long ones are cut at pauses."""

import numpy as np
import pytest
import soundfile

from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages, write_message
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import decode_speech, read_speech, to_speech, wav_bytes, write_wav
from gnuradio.semcom.media.texts import read_text
from gnuradio.semcom.media.utterances import Cutter, cut
from gnuradio.semcom.message import Message, text_message


def tone(seconds, rate, hertz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def hertz(speech):
    spectrum = np.abs(np.fft.rfft(speech * np.hanning(speech.size)))
    return spectrum.argmax() * 16000 / speech.size


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_any_rate_and_word_length_keeps_pitch_and_level(tmp_path, rate, subtype):
    soundfile.write(tmp_path / "x.wav", tone(1, rate), rate, subtype=subtype)
    message = read_speech(tmp_path / "x.wav")
    assert (message.kind, message.meta) == ("speech", {"name": "x.wav", "sample_rate": 16000})
    assert message.data.dtype == np.float32 and abs(message.data.size - 16000) <= 2
    assert abs(hertz(message.data) - 440) < 2
    assert abs(np.abs(message.data[2000:-2000]).max() - 0.5) < 0.02


def test_channels_are_averaged(tmp_path):
    left, right = tone(0.5, 16000, 300), tone(0.5, 16000, 1000)
    soundfile.write(tmp_path / "x.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_speech(tmp_path / "x.wav").data, (left + right) / 2, atol=1e-6)


def test_beyond_full_scale_is_clipped_and_no_number_is_silence(tmp_path):
    samples = np.array([0.5, 3.0, -7.0, np.nan, np.inf, -np.inf], np.float32)
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_speech(tmp_path / "x.wav").data, np.float32([0.5, 1, -1, 0, 1, -1]))


def test_silence_is_legal_and_one_sample_is_enough(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    assert not read_speech(tmp_path / "silent.wav").data.any()
    soundfile.write(tmp_path / "one.wav", np.array([0.25]), 16000)
    assert read_speech(tmp_path / "one.wav").data.shape == (1,)


def test_what_is_no_recording_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.wav").write_text("this is no recording at all " * 40)
    (tmp_path / "nothing.wav").write_bytes(b"")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 4000)
    whole = wav_bytes(tone(1, 16000))
    (tmp_path / "header.wav").write_bytes(whole[:30])
    for name, words in (
        ("text.wav", "not a recording"), ("nothing.wav", "not a recording"), ("empty.wav", "no samples"),
        ("slow.wav", "4000 Hz"), ("header.wav", "recording"), ("missing.wav", "no such recording"), ("", "is a folder"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words) as caught:
            read_speech(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="not a path"):
        read_speech("a\0b")


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.wav", tone(0.1, 16000), 16000)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ValueError, match="cannot read .*Permission denied"):
        read_speech(tmp_path / "x.wav")


def test_a_wav_file_comes_back_within_half_a_step(tmp_path):
    speech = np.random.default_rng(1).uniform(-1, 1, 5000).astype(np.float32)
    write_wav(tmp_path / "a" / "x.wav", speech)
    np.testing.assert_allclose(read_speech(tmp_path / "a" / "x.wav").data, speech, atol=1.01 / 32768)
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(ValueError, match="mono"):
        write_wav(tmp_path / "y.wav", speech.reshape(2, -1))


def test_the_packaged_utterances_have_transcripts():
    items = list_inputs(packaged_recordings(), kind="speech")
    messages = [message for item in items for message in read_messages(item, "speech")]
    assert [m.meta["name"] for m in messages] == [f"{name}.flac" for name in RECORDINGS]
    assert all(m.data.size > 40_000 and m.meta["transcript"].endswith(".") for m in messages)
    with pytest.raises(ValueError, match="weather"):
        packaged_recordings("snow")


def test_a_folder_gives_recordings_only_with_the_text_beside_each(tmp_path):
    for name in ("b.wav", "a.flac"):
        soundfile.write(tmp_path / name, tone(0.2, 16000), 16000)
    (tmp_path / "b.txt").write_text("Hello there.\n", encoding="utf-8")
    (tmp_path / "c.png").write_bytes(b"")
    found = [next(read_messages(item, "speech")).meta for item in list_inputs(tmp_path, kind="speech")]
    assert [(m["name"], m.get("transcript")) for m in found] == [("a.flac", None), ("b.wav", "Hello there.")]
    with pytest.raises(ValueError, match="holds no picture"):
        list_inputs(_empty(tmp_path))
    with pytest.raises(ValueError, match="holds no recording"):
        list_inputs(_empty(tmp_path), kind="speech")


def _empty(folder):
    (folder / "empty").mkdir(exist_ok=True)
    return folder / "empty"


def test_texts_are_read_and_written_whole(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf caf\xc3\xa9 \n")
    assert read_text(tmp_path / "x.txt").data.tobytes().decode() == "café"
    (tmp_path / "y.txt").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="no text in UTF-8.* at byte 2"):
        read_text(tmp_path / "y.txt")
    (written,) = write_message(tmp_path / "z", text_message("hello"))
    assert written.read_text() == "hello\n"
    names = [p.name for p in write_message(tmp_path / "s", Message("speech", tone(0.1, 16000), {"text": "ah"}))]
    assert names == ["s.txt", "s.wav"] and (tmp_path / "s.txt").read_text() == "ah\n"


def spoken(lengths_s, pause_s=0.5, seed=0):
    """Noise that stands for speech, and pauses between."""
    rng = np.random.default_rng(seed)
    parts = []
    for seconds in lengths_s:
        parts += [rng.normal(0, 0.1, round(seconds * 16000)), rng.normal(0, 1e-4, round(pause_s * 16000))]
    return np.concatenate(parts).astype(np.float32)


def test_a_long_recording_is_cut_in_its_pauses_and_nothing_is_lost():
    speech = spoken([6, 7, 5, 6.5, 8, 3, 7, 5])
    pieces = cut(speech)
    assert len(pieces) > 2 and max(map(len, pieces)) <= 20 * 16000
    np.testing.assert_array_equal(np.concatenate(pieces), speech)
    for before, after in zip(pieces, pieces[1:], strict=False):
        assert np.abs(before[-800:]).max() < 0.01 and np.abs(after[:800]).max() < 0.01
    assert cut(speech[: 15 * 16000])[0].size == 15 * 16000


def test_ten_minutes_without_a_pause_are_cut_all_the_same():
    speech = np.random.default_rng(2).normal(0, 0.1, 600 * 16000).astype(np.float32)
    pieces = cut(speech)
    assert sum(map(len, pieces)) == speech.size and 30 <= len(pieces) <= 300 and max(map(len, pieces)) <= 20 * 16000
    assert sum(map(len, cut(np.zeros(600 * 16000, np.float32)))) == 600 * 16000
    with pytest.raises(ValueError, match="shortest_s"):
        cut(speech, longest_s=1.0)


def test_pieces_of_a_recording_know_their_place(tmp_path):
    write_wav(tmp_path / "long.wav", spoken([9, 9, 9]))
    (tmp_path / "long.txt").write_text("one two three")
    (item,) = list_inputs(tmp_path / "long.wav", kind="speech")
    metas = [message.meta for message in read_messages(item, "speech")]
    assert [m["name"] for m in metas] == ["long.wav#1", "long.wav#2"]
    assert [m["piece"] for m in metas] == [[1, 2], [2, 2]] and metas[1]["transcript"] == "one two three"


@pytest.mark.parametrize("block", [160, 777, 16000])
def test_a_stream_gives_the_same_utterances_however_it_comes(block):
    speech = np.concatenate([np.zeros(8000, np.float32), spoken([1.5, 0.8, 2.0], pause_s=1.0)])
    cutter = Cutter()
    found = [u for k in range(0, speech.size, block) for u in cutter.push(speech[k : k + block])]
    assert [round(u.size / 16000, 1) for u in found] == [2.6, 1.8, 3.0]
    assert not cutter.flush()


def test_a_speaker_who_never_pauses_is_cut_and_clicks_are_none():
    cutter = Cutter(longest_s=2.0)
    assert [u.size for u in cutter.push(spoken([7.0], pause_s=0))] == [2 * 16000] * 3
    assert not Cutter().push(spoken([0.05], pause_s=3.0))
    with pytest.raises(ValueError, match="pause_s"):
        Cutter(pause_s=0)


def test_a_pipe_of_bytes_is_decoded_like_a_file():
    speech = tone(0.5, 8000)
    np.testing.assert_allclose(decode_speech(wav_bytes(speech, 8000), "x"), to_speech(speech, 8000), atol=1e-4)
