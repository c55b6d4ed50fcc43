"""The server under bridged calls: SIP in, SIP out, both sides relayed and recorded in stereo."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..figures import Bridged, Figure
from ..generator import generate
from ..load import Heard, Load, Outcome
from ..options import SLOWER, Options
from ..process import Child
from ..receiver import Listening, receive
from ..recordings import Verdict, compare
from ..server import Server, document_bridged, roomy
from ..speech import FRAME, RATE, Voice
from ..usage import read_usage
from .harvest import complaints, gather, refusals
from .legs import delay_of, unheard
from .measure import Say, answer_of, figure_of, folder_of, measure

ALIGNED: Final = 0.06
"""Seconds by which the channels of a recording may be apart from what both said: a tick, and what a
stream waits for at its beginning."""

CUT: Final = 1.0
"""Seconds after it was answered from which on both must hear each other."""

FORMATS: Final = ("wav",)
"""What recordings are made as: thousands of mp3 would be waited for, and are measured elsewhere."""


def load_of(calls: int, options: Options) -> Load:
    """Return what is asked of the generator: so many calls, each connected on."""
    return replace(
        Load.by_sip(calls, options),
        echo="bridge",
        streams=2 * calls,
        callee_port=options.callee_port,
        setup_rate=options.setup_rate / SLOWER,
    )


def run_bridged(calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure the server under so many bridged calls, then look at everything it left."""
    load = load_of(calls, options)
    swml = document_bridged(options.callback_port, options.callee_port)
    limits = roomy(2 * calls, options.setup_rate)
    name = f"bridged-{calls}"
    with (
        folder_of(options, name) as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        Server(options, folder, limits, swml, FORMATS) as server,
    ):
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        time.sleep(1.0)
        idle = read_usage(server.pid)
        with Child("generator", options.generator_core, generate, load) as generator:
            patience = calls / load.setup_rate + 75
            measured = measure(server.pid, generator, options, patience, name, load.streams)
            ticks = server.tick_lateness()
            say(f"{calls} bridged calls, hanging up")
            outcome = generator.expect(Outcome, patience + 45)
        say(f"{calls} bridged calls, waiting for callbacks and comparing every file")
        examiner = Examiner(outcome, voice)
        answered = outcome.statuses.count(200)
        harvest = gather(
            server, receiver, options, voice, outcome, examiner.examine, callbacks(answered)
        )
        server.stop()
        figure = figure_of("bridged", "mediaserver", calls, measured, outcome)
        figure.tick_p50_ms, figure.tick_p99_ms = ticks
        figure.kib_per_call = (measured.before.rss - idle.rss) / calls / 1024
        figure.recorded = harvest.recorded
        figure.answer = answer_of(outcome.answer_seconds)
        figure.relayed = delay_of(examiner.heard)
        figure.bridged = examiner.found()
        figure.problems += refusals(outcome) + crossed(outcome)
        figure.problems += harvest.problems + complaints(server)
    return figure


def callbacks(calls: int) -> dict[str, int]:
    """Return how often each state is to be told of so many calls."""
    return dict.fromkeys(("recording", "connecting", "connected", "disconnected"), calls)


def crossed(outcome: Outcome) -> list[str]:
    """Return what the parties should have heard of each other and did not."""
    heard = outcome.heard
    assert heard is not None
    expected = [
        outcome.packets[stream ^ 1] - begin // FRAME if begin >= 0 else 0
        for stream, begin in enumerate(heard.begins)
    ]
    faults = unheard(outcome, expected)
    late = cuts(outcome)
    if late.size and late.max() > CUT:
        count = np.count_nonzero(late > CUT)
        faults.append(
            f"{count} streams were not heard until up to {late.max():.1f} s after the answer"
        )
    return faults


def cuts(outcome: Outcome) -> NDArray[np.float64]:
    """Return seconds after the callee's answer from which on each stream heard its partner."""
    heard = outcome.heard
    assert heard is not None
    return np.array(
        [
            at - outcome.answered_at[stream]
            for stream, (begin, at) in enumerate(zip(heard.begins, heard.begins_at, strict=True))
            if begin >= 0
        ]
    )


class Examiner:
    """Compares the right channel of recordings with what callees said, and both with the clock."""

    def __init__(self, outcome: Outcome, voice: Voice) -> None:
        assert outcome.heard is not None
        self.heard: Heard = outcome.heard
        self._outcome = outcome
        self._voice = voice
        self._apart: list[float] = []

    def examine(self, stream: int, channels: NDArray[np.int16], left: Verdict) -> str | None:
        """Return what is wrong with the right channel of the file of a caller's call."""
        outcome, callee, begin = self._outcome, stream ^ 1, self.heard.begins[stream]
        if begin < 0:
            return "the caller heard nothing of what it should have"
        said = self._voice.said(outcome.starts[callee], outcome.packets[callee])[begin:]
        right = compare(channels[1], said)
        if not right.right:
            return right.fault(said.size)
        later = self.heard.begins_at[stream] - outcome.began[stream]
        apart = (right.lead - left.lead) / RATE - later
        self._apart.append(apart)
        if abs(apart) > ALIGNED:
            return f"it is {1000 * apart:+.1f} ms off the left one"
        return None

    def found(self) -> Bridged:
        """Return what is known of the bridges once all files were examined."""
        apart = 1000 * np.array(self._apart or [0.0])
        late = cuts(self._outcome)
        return Bridged(
            apart_p50_ms=float(np.quantile(apart, 0.5)),
            apart_least_ms=float(apart.min()),
            apart_most_ms=float(apart.max()),
            heard_p99_ms=1000 * float(np.quantile(late, 0.99)) if late.size else 0.0,
        )
