"""The server under one-way calls: SIP, `record` with every stop condition on, callbacks, files."""

from __future__ import annotations

import contextlib
import time
import wave
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..figures import Figure
from ..generator import generate
from ..load import Load, Outcome
from ..options import Options
from ..process import Child
from ..receiver import Listening, receive
from ..recordings import Verdict, compare_clip
from ..server import Server, document_with_clip, roomy
from ..speech import FRAME, RATE, Voice
from ..usage import read_usage
from .bridged import FORMATS
from .harvest import Examine, complaints, gather, refusals
from .measure import Say, answer_of, figure_of, folder_of, measure

MANY: Final = 1000
"""Calls beyond which files are made as wav alone: thousands of mp3 would be waited for, which is
nothing of what is measured."""

CLIP: Final = 30.0
"""Seconds a clip is longer than set-up and steady state together."""


def run_record(calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure the server under `calls` calls in `record`, then look at everything it left."""
    return _run("record", calls, options, voice, say)


def run_stereo(calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure it under calls in `record_call`, both sides in stereo, while a clip is played."""
    return _run("stereo", calls, options, voice, say)


def _run(kind: str, calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    load = replace(Load.by_sip(calls, options), echo="none" if kind == "record" else "clip")
    with (
        folder_of(options, f"{kind}-{calls}") as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        contextlib.ExitStack() as stack,
    ):
        examine: Examine | None = None
        swml = None
        if kind == "stereo":
            seconds = 2 * calls / options.setup_rate + options.seconds + CLIP
            clip = voice.prompt(0, round(seconds * RATE / FRAME))
            write_wav(folder / "clip.wav", clip)
            examine = partial(_hears, clip)
            swml = document_with_clip(options.callback_port, folder / "clip.wav", 60.0)
        limits = roomy(calls, options.setup_rate)
        server = stack.enter_context(
            Server(options, folder, limits, swml, FORMATS if calls > MANY else ())
        )
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        time.sleep(1.0)
        idle = read_usage(server.pid)
        with Child("generator", options.generator_core, generate, load) as generator:
            patience = calls / options.setup_rate + 45
            name = f"{kind}-{calls}"
            measured = measure(server.pid, generator, options, patience, name, calls)
            ticks = server.tick_lateness()
            say(f"{calls} calls, hanging up")
            outcome = generator.expect(Outcome, patience + 45)
        say(f"{calls} calls, waiting for callbacks and comparing every file")
        harvest = gather(server, receiver, options, voice, outcome, examine)
        server.stop()
        figure = figure_of(kind, "mediaserver", calls, measured, outcome)
        figure.tick_p50_ms, figure.tick_p99_ms = ticks
        figure.kib_per_call = (measured.before.rss - idle.rss) / calls / 1024
        figure.recorded = harvest.recorded
        figure.answer = answer_of(outcome.answer_seconds)
        figure.problems += refusals(outcome) + harvest.problems + complaints(server)
    return figure


def _hears(
    clip: NDArray[np.int16], stream: int, channels: NDArray[np.int16], left: Verdict
) -> str | None:
    """Return what is wrong with the right channel, on which the clip is."""
    verdict = compare_clip(channels[1], clip)
    return None if verdict.right else verdict.fault(channels[1].size)


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write mono 16-bit audio at 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
