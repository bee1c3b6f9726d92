// SPDX-License-Identifier: GPL-3.0-or-later
// Records the microphone as 16-bit WAV, posts it to /recorded and tells the page its number.
window.semcomRecorder = {
  async toggle(longestSeconds) {
    if (this.stop) return this.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      return emitEvent("recorder", { state: "failed", reason: String(error) });
    }
    const context = new AudioContext();
    const source = context.createMediaStreamSource(stream);
    const tap = context.createScriptProcessor(4096, 1, 1);
    const chunks = [];
    tap.onaudioprocess = (event) => {
      chunks.push(new Float32Array(event.inputBuffer.getChannelData(0)));
      if (chunks.length * 4096 > longestSeconds * context.sampleRate && this.stop) this.stop();
    };
    source.connect(tap);
    tap.connect(context.destination);
    emitEvent("recorder", { state: "recording" });
    this.stop = async () => {
      this.stop = null;
      tap.disconnect();
      stream.getTracks().forEach((track) => track.stop());
      const body = this.wav(chunks, context.sampleRate);
      await context.close();
      const answer = await fetch("/recorded", { method: "POST", body });
      if (!answer.ok) return emitEvent("recorder", { state: "failed", reason: await answer.text() });
      emitEvent("recorder", { state: "done", number: await answer.json() });
    };
  },
  wav(chunks, rate) {
    const count = chunks.length * 4096;
    const view = new DataView(new ArrayBuffer(44 + 2 * count));
    const text = (place, letters) => [...letters].forEach((c, k) => view.setUint8(place + k, c.charCodeAt(0)));
    text(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); text(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
    view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    text(36, "data"); view.setUint32(40, 2 * count, true);
    let place = 44;
    for (const chunk of chunks)
      for (const value of chunk) {
        view.setInt16(place, Math.max(-1, Math.min(1, value)) * 32767, true);
        place += 2;
      }
    return view.buffer;
  },
};
