"""What calls left: every callback, every file, compared with what was said."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import BenchError
from ..figures import Recorded
from ..load import Outcome
from ..options import HOST, Options
from ..process import Child
from ..receiver import Told
from ..recordings import Downloads, Verdict, compare
from ..server import Server
from ..speech import FRAME, Voice

PATIENCE = 30.0
"""Seconds without a single callback after which no more are waited for."""

Examine = Callable[[int, NDArray[np.int16], Verdict], str | None]
"""Given a call's stream, its file of shape (2, n), and what is known of the left channel, says what
is wrong with the right one."""


@dataclass(frozen=True, slots=True)
class Harvest:
    """What was found, and what is wrong with it."""

    recorded: Recorded
    problems: list[str]


def gather(
    server: Server,
    receiver: Child,
    options: Options,
    voice: Voice,
    outcome: Outcome,
    examine: Examine | None = None,
    also: Mapping[str, int] = MappingProxyType({}),
) -> Harvest:
    """Wait for the callbacks, then compare every file with what its caller said.

    With `examine` every file is stereo, and that compares it. `also` are states of which so many
    are to be told beside the end of every recording.
    """
    answered = [call for call, status in enumerate(outcome.statuses) if status == 200]
    told = _wait_for_callbacks(receiver, len(answered), also)
    verdicts, problems = _compare(server, options, voice, outcome, told, examine)
    failures = Counter(outcome.failures[call] for call in answered)
    failures.pop(None, None)
    problems += [f"{count} calls: {failure}" for failure, count in failures.most_common(3)]
    if len(told.finished) != len(answered):
        others = ", ".join(f"{n} {state}" for state, n in Counter(told.other.values()).items())
        problems.append(
            f"{len(told.finished)} of {len(answered)} `finished` callbacks came"
            + (f", and {others}" if others else "")
        )
    problems += [
        f"{told.states.get(state, 0)} of {count} `{state}` callbacks came"
        for state, count in also.items()
        if told.states.get(state, 0) != count
    ]
    recorded = Recorded(
        files=len(answered),
        files_right=sum(verdict.right for verdict in verdicts),
        samples_sent=FRAME * sum(outcome.packets),
        samples_missing=sum(verdict.missing for verdict in verdicts),
        lead_max_ms=max((verdict.lead / 8 for verdict in verdicts), default=0.0),
        trail_max_ms=max((verdict.trail / 8 for verdict in verdicts), default=0.0),
        callbacks=told.states,
        made_seconds=told.waits,
    )
    return Harvest(recorded, problems)


def refusals(outcome: Outcome) -> list[str]:
    """Return what happened to calls that were not answered."""
    lost = Counter(
        failure or "the INVITE was not answered"
        for failure, status in zip(outcome.failures, outcome.statuses, strict=True)
        if status != 200
    )
    return [f"{count} calls: {failure}" for failure, count in lost.most_common(3)]


def complaints(server: Server) -> list[str]:
    """Return the problem that errors in the server's log are."""
    found = server.complaints()
    return [f"{len(found)} errors in the log, first: {found[0]}"] if found else []


def _wait_for_callbacks(receiver: Child, wanted: int, also: Mapping[str, int]) -> Told:
    """Return what was told once every answered call's end was, or when nothing more comes."""
    heard, heard_at = -1, time.monotonic()
    while True:
        receiver.send("what came?")
        told = receiver.expect(Told, 30)
        final = len(told.finished) + len(told.other)
        if final >= wanted and all(told.states.get(s, 0) >= count for s, count in also.items()):
            return told
        if sum(told.states.values()) != heard:
            heard, heard_at = sum(told.states.values()), time.monotonic()
        if time.monotonic() > heard_at + PATIENCE:
            return told
        time.sleep(0.5)


def _compare(
    server: Server,
    options: Options,
    voice: Voice,
    outcome: Outcome,
    told: Told,
    examine: Examine | None,
) -> tuple[list[Verdict], list[str]]:
    verdicts: list[Verdict] = []
    wrong: list[str] = []
    downloads = Downloads(HOST, options.http_port, server.key)
    for stream, url in sorted(told.finished.items()):
        said = voice.said(outcome.starts[stream], outcome.packets[stream])
        try:
            channels = downloads.fetch(url, 1 if examine is None else 2)
            verdict = compare(channels[0], said)
        except BenchError as error:
            wrong.append(f"stream {stream}: {error}")
            continue
        verdicts.append(verdict)
        if not verdict.right:
            wrong.append(f"stream {stream}: {verdict.fault(said.size)}")
        elif examine is not None and (fault := examine(stream, channels, verdict)):
            wrong.append(f"stream {stream}, right channel: {fault}")
    downloads.close()
    problems = [f"{len(wrong)} files are wrong; {wrong[0]}"] if wrong else []
    return verdicts, problems
