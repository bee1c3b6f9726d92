# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of `semcom demo speech`, by its parts and, where there are Playwright and Chromium, in a browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.speech_demo.answer import ask, compare, speech_systems
from gnuradio.semcom.speech_demo.page import show_answer
from gnuradio.semcom.speech_demo.pictures import spectrogram_db

WEATHER = "the weather report says light rain this evening and a clear sky tomorrow"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_system = pytest.mark.skipif(not speech_systems(), reason="no speech system can run: no model, no recogniser")


def test_words_that_differ_are_marked():
    assert compare("a light rain", "a light rain") == [("equal", "a light rain", "a light rain")]
    assert compare("a light rain today", "a white rain") == [
        ("equal", "a", "a"), ("replace", "light", "white"), ("equal", "rain", "rain"), ("delete", "today", "")
    ]  # fmt: skip


def test_a_tone_stands_at_its_frequency_in_the_spectrogram():
    tone = np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000).astype(np.float32)
    levels = spectrogram_db(tone)
    assert levels.shape[0] == 201 and (levels.argmax(0) == 50).all() and levels.max() == 0
    assert spectrogram_db(np.zeros(10, np.float32)).shape == (201, 1)


@needs_system
def test_an_utterance_goes_through_the_flowgraph_and_comes_back_with_its_symbols():
    speech = read_speech(packaged_recordings("weather")).data
    system, (model, *_) = next(iter(speech_systems().items()))
    answer = ask(speech, WEATHER, system=system, model=model, esn0_db=18.0, timeout_s=100)
    assert answer.symbols.size and answer.text and answer.reference == WEATHER
    total = sum(record["symbols_total"] for record in answer.records)
    assert answer.symbols.size == min(total, 4000) or answer.symbols.size <= total
    page = show_answer(answer)
    assert "data:image/png;base64," in page and f"{total:,} symbols" in page
    noisy = ask(speech, "", system=system, model=model, esn0_db=-30.0, timeout_s=100)
    assert noisy.text != answer.text and noisy.reference


def test_more_than_a_minute_is_refused():
    with pytest.raises(ValueError, match="at most 60 s"):
        ask(np.zeros(61 * 16_000, np.float32), system="text_transceiver")


def test_text_from_outside_is_escaped_on_the_page():
    from gnuradio.semcom.speech_demo.page import _marked

    assert "<script>" not in _marked("replace", "<script>", "<script>") + _marked("equal", "<script>", "<script>")


@pytest.fixture
def page_address(tmp_path):
    pytest.importorskip("nicegui")
    if not speech_systems():
        pytest.skip("no speech system can run: no model, no recogniser")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-P", "-m", "gnuradio.semcom", "demo", "speech", "--no-browser", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # NiceGUI looks
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=environment)
    address = f"http://127.0.0.1:{port}/"
    end = time.monotonic() + 60
    try:
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).read()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def test_the_page_is_served_and_takes_no_endless_recording(page_address):
    content = urllib.request.urlopen(page_address, timeout=10).read().decode()
    assert "semcomRecorder" in content and "Speech over a semantic link" in content
    request = urllib.request.Request(f"{page_address}recorded", b"", {"Content-Length": str(1 << 40)}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 413


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (Debian: chromium)")
def test_a_visitor_sends_uploads_and_records_in_the_browser(page_address, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    text = "[data-testid=text]"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(page_address)
        page.click("[data-testid=send]")
        page.wait_for_selector(text)
        assert "symbols" in page.inner_text("[data-testid=result]")
        assert page.locator("[data-testid=result] img").evaluate("image => image.naturalWidth") > 500

        write_wav(tmp_path / "own.wav", read_speech(packaged_recordings("kitchen")).data)
        page.set_input_files("input[type=file]", tmp_path / "own.wav")
        page.wait_for_function("document.querySelector('input[data-testid=transcript]').value === ''")
        page.click("[data-testid=send]")
        page.wait_for_selector("[data-testid=busy]")
        page.wait_for_selector("[data-testid=busy]", state="hidden")

        (tmp_path / "no.wav").write_bytes(b"no recording")
        page.set_input_files("input[type=file]", tmp_path / "no.wav")
        page.wait_for_selector("text=is not a recording that can be read")

        before = page.locator("audio").first.get_attribute("src")
        page.click("[data-testid=record]")
        page.wait_for_selector("text=stop")
        page.wait_for_timeout(1500)  # that long it listens
        page.click("[data-testid=record]")
        page.wait_for_selector("[data-testid=record]:has-text('record')")
        page.wait_for_function("before => document.querySelector('audio').src !== before", arg=before)
        browser.close()
    assert not faults
