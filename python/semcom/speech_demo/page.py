# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: choose or record an utterance, a system and a channel; read, hear and see what arrives."""

from __future__ import annotations

import base64
import itertools
import threading
from collections import OrderedDict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..media.inputs import list_inputs
from ..media.recordings import RECORDINGS, packaged_recordings
from ..media.speech import decode_speech, read_speech, wav_bytes
from ..media.texts import transcript
from ..message import SAMPLE_RATE
from ..speech.synthesis.users import users
from ..systems import registry
from .answer import LONGEST_S, Answer, ask, speech_systems
from .pictures import results_png

HOST = "127.0.0.1"
CHANNELS = {"awgn": "AWGN", "rayleigh": "Rayleigh", "rician": "Rician"}
LARGEST_FILE = 32 << 20
KEPT_RECORDINGS = 8
MARKS = {"equal": "", "replace": "#b91c1c", "delete": "#b91c1c", "insert": "#b45309"}


def serve(port: int, show: bool = True, extra: Path | None = None) -> None:
    """Serve the page on 127.0.0.1 until interrupted. `extra` is a recording offered first.

    ValueError, one line, where NiceGUI is not installed or no speech system can run.
    """
    try:
        from nicegui import app, ui
    except ImportError as error:
        raise ValueError("the speech demonstration needs nicegui: pip install 'gr-semcom[page]'") from error
    from starlette.responses import JSONResponse, Response

    systems = speech_systems()
    if not systems:
        raise ValueError("no system for speech can run here: `semcom doctor` says what is missing")
    if extra is not None:
        read_speech(extra)
    recorded: OrderedDict[int, bytes] = OrderedDict()
    numbers = itertools.count(1)

    async def take(request: Any) -> Any:
        if int(request.headers.get("content-length") or LARGEST_FILE + 1) > LARGEST_FILE:
            return Response("the recording is too long", status_code=413)
        number = next(numbers)
        recorded[number] = await request.body()
        while len(recorded) > KEPT_RECORDINGS:
            recorded.popitem(last=False)
        return JSONResponse(number)

    app.add_route("/recorded", take, methods=["POST"])

    def page() -> None:
        _Page(systems, extra, recorded).build()

    print(f"speech demonstration: http://{HOST}:{port}   (end with Ctrl-C)", flush=True)
    ui.run(
        page, host=HOST, port=port, title="gr-semcom: speech", reload=False, show=show, show_welcome_message=False,
        uvicorn_logging_level="error",
    )  # fmt: skip


class _Page:
    """One visitor's page."""

    busy = threading.Lock()  # two cores: one flowgraph at a time

    def __init__(self, systems: dict[str, list[str]], extra: Path | None, recorded: OrderedDict[int, bytes]) -> None:
        self.systems, self.recorded = systems, recorded
        self.choices = {name: packaged_recordings(name) for name in RECORDINGS}
        if extra is not None:
            self.choices = {extra.name: extra, **self.choices}
        self.speech = np.zeros(0, np.float32)

    def build(self) -> None:
        """Lay everything out."""
        from nicegui import ui

        ui.add_body_html(f"<script>{(Path(__file__).parent / 'recorder.js').read_text()}</script>")
        ui.label("Speech over a semantic link").classes("text-2xl")
        ui.label("Every answer comes out of the GNU Radio flowgraph of the system that is chosen.")
        with ui.row().classes("w-full items-start no-wrap"):
            with ui.column().classes("w-80"):
                ui.label("1. What is said").classes("text-lg")
                self.choice = ui.select(
                    list(self.choices), label="a recording", on_change=lambda event: self.choose(event.value)
                ).classes("w-full").props("data-testid=recording")  # fmt: skip
                ui.upload(
                    label="your own file (WAV, FLAC, Ogg)", auto_upload=True, max_file_size=LARGEST_FILE,
                    on_upload=self.uploaded, on_rejected=lambda: ui.notify("too large: at most 32 MB", type="negative"),
                ).classes("w-full")  # fmt: skip
                self.microphone = ui.button("record", on_click=self.toggle).props("icon=mic data-testid=record")
                self.words = ui.input("what is said, if you know it").classes("w-full").props("data-testid=transcript")
                self.heard = ui.html("", sanitize=False).classes("w-full")
                ui.label("2. How it is sent").classes("text-lg")
                self.system = ui.select(
                    {name: registry.get(name).title for name in self.systems}, label="system",
                    on_change=lambda event: self.models(event.value)
                ).classes("w-full").props("data-testid=system")  # fmt: skip
                self.model = ui.select([], label="model").classes("w-full")
                self.channel = ui.select(CHANNELS, value="awgn", label="channel").classes("w-full")
                self.level = ui.label()
                self.esn0_db = ui.slider(min=-12, max=20, step=1, value=10).props("data-testid=esn0")
                self.level.bind_text_from(self.esn0_db, "value", lambda value: f"Es/N0 {value} dB")
                self.user = ui.select(
                    {"": "no voice, text only", **{name: name for name in users()}}, value="anna", label="voice"
                ).classes("w-full")  # fmt: skip
                self.send = ui.button("send", on_click=self.ask).props("icon=cell_tower data-testid=send")
                self.spinner = ui.spinner(size="lg").props("data-testid=busy")
                self.spinner.visible = False
            self.result = ui.html("", sanitize=False).classes("w-full").props("data-testid=result")
        ui.on("recorder", self.recorder)
        self.choice.value = next(iter(self.choices))
        self.system.value = next(iter(self.systems))

    def models(self, system: str) -> None:
        """Offer the models of a system."""
        self.model.set_options(self.systems[system], value=self.systems[system][0])

    def take(self, speech: Any, words: str) -> None:
        """An utterance from wherever it comes."""
        self.speech = speech
        self.words.value = words
        self.heard.content = _audio(speech)

    def choose(self, name: str) -> None:
        """One of the offered recordings."""
        path = self.choices[name]
        (item,) = [item for item in list_inputs(path.parent, kind="speech") if item.path.name == path.name]
        self.take(read_speech(path).data, transcript(item) or "")

    async def uploaded(self, event: Any) -> None:
        """A file of the visitor's."""
        self.decode(await event.file.read(), event.file.name)

    def decode(self, content: bytes, name: str) -> None:
        """Bytes that claim to be a recording."""
        from nicegui import ui

        try:
            self.take(decode_speech(content, name), "")
        except ValueError as error:
            ui.notify(str(error), type="negative", multi_line=True)

    def toggle(self) -> None:
        """Start or end recording."""
        from nicegui import ui

        ui.run_javascript(f"semcomRecorder.toggle({LONGEST_S - 1})")

    def recorder(self, event: Any) -> None:
        """What the browser's recorder says."""
        from nicegui import ui

        state = event.args.get("state")
        self.microphone.text = "stop" if state == "recording" else "record"
        if state == "failed":
            ui.notify(f"no recording: {event.args.get('reason')}", type="negative")
        if state == "done" and (content := self.recorded.pop(event.args.get("number"), None)) is not None:
            self.decode(content, "the recording")

    async def ask(self) -> None:
        """Run the flowgraph and show what came."""
        from nicegui import run, ui

        if not self.speech.size:
            ui.notify("choose or record an utterance first", type="warning")
            return
        self.send.disable()
        self.spinner.visible = True
        question = {
            "system": self.system.value,
            "model": self.model.value,
            "channel": self.channel.value,
            "esn0_db": float(self.esn0_db.value),
            "user": self.user.value,
        }
        try:
            self.result.content = await run.io_bound(self.answered, self.words.value, question)
        except Exception as error:  # a visitor must see why, whatever it was
            self.result.content = ""
            ui.notify(str(error) or type(error).__name__, type="negative", multi_line=True)
        finally:
            self.spinner.visible = False
            self.send.enable()

    def answered(self, words: str, question: dict[str, Any]) -> str:
        """The answer as HTML."""
        with self.busy:
            answer = ask(self.speech, words, **question)
        return show_answer(answer)


def show_answer(answer: Answer) -> str:
    """All that is seen and heard of an answer, as HTML."""
    if answer.reference is None:
        text = escape(answer.text)
    else:
        text = " ".join(_marked(*run) for run in answer.words)
    symbols = sum(record["symbols_total"] for record in answer.records)
    blocks, failed = (sum(record[key] for record in answer.records) for key in ("blocks", "blocks_failed"))
    seconds = answer.sent.size / SAMPLE_RATE
    facts = [
        f"{symbols:,} symbols, {symbols / seconds:,.0f} a second of speech",
        answer.mcs,
        f"{failed} of {blocks} code blocks failed" if blocks else "no code blocks",
        f"answered in {answer.elapsed_s:.2f} s",
    ]
    picture = base64.b64encode(results_png(answer.sent, answer.speech, answer.symbols)).decode()
    heard = _audio(answer.speech) if answer.speech.size else ""
    note = f"<p>{escape(answer.note)}</p>" if answer.note else ""
    return (
        f'<p data-testid="text" style="font-size:1.4rem">{text or "<i>nothing was recognised</i>"}</p>'
        f"<p>{escape(' · '.join(facts))}</p>{note}{heard}"
        f'<img alt="spectrograms and constellation" style="width:100%" src="data:image/png;base64,{picture}">'
    )


def _marked(mark: str, sent: str, received: str) -> str:
    """A run of words: what should have been there is struck out, what came instead underlined."""
    if mark == "equal":
        return escape(received)
    wanted = f'<del style="color:#6b7280">{escape(sent)}</del> ' if sent else ""
    came = f'<ins style="color:{MARKS[mark]}">{escape(received)}</ins>' if received else ""
    return (wanted + came).strip()


def _audio(speech: Any) -> str:
    sound = base64.b64encode(wav_bytes(speech)).decode()
    return f'<audio controls style="width:100%" src="data:audio/wav;base64,{sound}"></audio>'
