"""One run each: the load against a yardstick, or against the server."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from .errors import BenchError
from .generator import Load, Outcome, Steady, generate
from .options import HOST, Options
from .process import Child
from .receiver import Listening, Told, receive
from .recordings import Downloads, Verdict, compare
from .server import Server
from .speech import Voice
from .usage import Usage, read_usage, udp_drops
from .yardsticks import Drain, Ready, endpoints, floor

DISTURBED: Final = 5.0
"""Percent of the measured core that others may use before it is said."""

LATE: Final = 0.01
"""Seconds by which 1 % of the generator's turns may be over late before the run says nothing of
the server: half a packet."""

_BODIES: Final = {"floor": floor, "asyncio": endpoints}

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Figure:
    """What one run measured."""

    subject: str
    """`floor`, `asyncio` or `mediaserver`."""
    calls: int
    ms_per_call_second: float
    """CPU milliseconds per call and second, render processes not included."""
    render_ms_per_call_second: float = 0.0
    core_percent: float
    """The same as a share of one core."""
    dropped: int
    """Datagrams the kernel dropped at the subject's sockets."""
    late_p99_ms: float
    late_max_ms: float
    generator_percent: float
    ratio_to_floor: float | None = None
    others_percent: float
    """Share of the same core that was used by none of ours."""
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Why the run does not count; empty when it does."""
    server: ServerFigure | None = None


@dataclass(slots=True, kw_only=True)
class ServerFigure:
    """What is known of the server alone."""

    rss_idle_mib: float
    rss_per_call_kib: float
    answer_p50_ms: float
    answer_p99_ms: float
    files_right: int
    samples_sent: int
    samples_missing: int
    lead_max_ms: float
    """Longest silence in a file before the first packet."""
    trail_max_ms: float
    finished_callbacks: int
    callbacks: dict[str, int]


def run_yardstick(kind: str, calls: int, options: Options) -> Figure:
    """Measure a yardstick under `calls` streams."""
    load = Load(
        streams=calls,
        stream_first=options.stream_first,
        seconds=options.seconds,
        rtp_first=options.rtp_first,
    )
    drain = Drain(calls, options.rtp_first)
    with (
        Child(kind, options.server_core, _BODIES[kind], drain) as subject,
        Child("generator", options.generator_core, generate, load) as generator,
    ):
        subject.expect(Ready, 30)
        before, after, dropped = _measure(subject.pid, generator, options, 30)
        outcome = generator.expect(Outcome, 30)
    return _figure(kind, calls, before, after, dropped, outcome)


def run_server(calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure the server under `calls` calls, then look at everything it left."""
    load = Load(
        streams=calls,
        stream_first=options.stream_first,
        seconds=options.seconds,
        sip_port=options.sip_port,
        caller_port=options.caller_port,
        setup_rate=options.setup_rate,
    )
    with (
        _folder(options, calls) as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        Server(options, folder, calls) as server,
    ):
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        time.sleep(1.0)
        idle = read_usage(server.pid)
        with Child("generator", options.generator_core, generate, load) as generator:
            patience = calls / options.setup_rate + 45
            before, after, dropped = _measure(server.pid, generator, options, patience)
            say(f"{calls} calls, hanging up")
            outcome = generator.expect(Outcome, patience + 45)
        say(f"{calls} calls, waiting for callbacks")
        told = _wait_for_callbacks(receiver, outcome)
        say(f"{calls} calls, comparing every file with what was sent")
        verdicts, problems = _compare(server, options, voice, outcome, told)
        server.stop()
        figure = _figure("mediaserver", calls, before, after, dropped, outcome)
        figure.server = _server_figure(calls, idle, before, outcome, told, verdicts)
        figure.problems += _calls_that_failed(outcome, told, calls) + problems
        complaints = server.complaints()
        if complaints:
            figure.problems.append(f"{len(complaints)} errors in the log, first: {complaints[0]}")
    return figure


def _measure(
    pid: int, generator: Child, options: Options, patience: float
) -> tuple[Usage, Usage, int]:
    """Return what `pid` had used at the start and end of the steady state, and drops since."""
    steady = generator.expect(Steady, patience)
    before = read_usage(pid)
    # Whole tenths of a second, so that as many sweeps begin as end within.
    time.sleep(max(0.0, steady.at + options.seconds - 0.05 - time.monotonic()))
    after = read_usage(pid)
    if after.at > steady.at + options.seconds + 0.25:
        raise BenchError("the bench itself was held up for so long that the figures mean nothing")
    return before, after, udp_drops(options.rtp_first, options.rtp_last)


def _figure(
    subject: str, calls: int, before: Usage, after: Usage, dropped: int, outcome: Outcome
) -> Figure:
    elapsed = after.at - before.at
    cpu, children = after.cpu - before.cpu, after.children_cpu - before.children_cpu
    busy = after.core_busy - before.core_busy
    figure = Figure(
        subject=subject,
        calls=calls,
        ms_per_call_second=1000 * cpu / elapsed / calls,
        render_ms_per_call_second=1000 * children / elapsed / calls,
        core_percent=100 * cpu / elapsed,
        others_percent=max(0.0, 100 * (busy - cpu - children) / elapsed),
        dropped=dropped,
        late_p99_ms=1000 * outcome.late_p99,
        late_max_ms=1000 * outcome.late_max,
        generator_percent=100 * outcome.busy,
    )
    if figure.others_percent > DISTURBED:
        figure.remarks.append(
            f"others used {figure.others_percent:.0f} % of the measured core meanwhile"
        )
    if dropped:
        figure.problems.append(f"{dropped} datagrams were dropped by full sockets")
    if outcome.failed_sends:
        figure.problems.append(f"the generator failed to send {outcome.failed_sends} packets")
    if outcome.late_p99 > LATE:
        figure.problems.append(
            f"the generator was late by {1000 * outcome.late_p99:.1f} ms (p99): "
            "it measured itself, not the subject"
        )
    return figure


def _wait_for_callbacks(receiver: Child, outcome: Outcome) -> Told:
    """Return what was told once every answered call's end was, or when nothing more comes."""
    wanted = len(outcome.answer_seconds)
    heard, heard_at = -1, time.monotonic()
    while True:
        receiver.send("what came?")
        told = receiver.expect(Told, 30)
        final = len(told.finished) + len(told.other)
        if final >= wanted:
            return told
        if final != heard:
            heard, heard_at = final, time.monotonic()
        if time.monotonic() > heard_at + 30:
            return told
        time.sleep(0.5)


def _compare(
    server: Server, options: Options, voice: Voice, outcome: Outcome, told: Told
) -> tuple[list[Verdict], list[str]]:
    """Compare every file with what its caller said."""
    verdicts: list[Verdict] = []
    wrong: list[str] = []
    downloads = Downloads(HOST, options.http_port, server.key)
    for stream, url in sorted(told.finished.items()):
        said = voice.said(outcome.starts[stream], outcome.packets[stream])
        try:
            verdict = compare(downloads.fetch(url), said)
        except BenchError as error:
            wrong.append(f"stream {stream}: {error}")
            continue
        verdicts.append(verdict)
        if not verdict.right:
            wrong.append(
                f"stream {stream}: of {said.size} samples {verdict.missing} are missing or not in "
                f"their place, {verdict.foreign} do not belong there"
            )
    downloads.close()
    problems = [f"{len(wrong)} files are wrong; {wrong[0]}"] if wrong else []
    return verdicts, problems


def _calls_that_failed(outcome: Outcome, told: Told, calls: int) -> list[str]:
    failures = Counter(failure for failure in outcome.failures if failure)
    problems = [f"{count} calls: {failure}" for failure, count in failures.most_common(3)]
    if len(told.finished) != calls:
        others = ", ".join(f"{n} {state}" for state, n in Counter(told.other.values()).items())
        problems.append(
            f"{len(told.finished)} of {calls} `finished` callbacks came"
            + (f", and {others}" if others else "")
        )
    return problems


def _server_figure(
    calls: int, idle: Usage, steady: Usage, outcome: Outcome, told: Told, verdicts: list[Verdict]
) -> ServerFigure:
    answer = 1000 * np.array(outcome.answer_seconds or [0.0])
    return ServerFigure(
        rss_idle_mib=idle.rss / (1 << 20),
        rss_per_call_kib=(steady.rss - idle.rss) / calls / 1024,
        answer_p50_ms=float(np.quantile(answer, 0.5)),
        answer_p99_ms=float(np.quantile(answer, 0.99)),
        files_right=sum(verdict.right for verdict in verdicts),
        samples_sent=160 * sum(outcome.packets),
        samples_missing=sum(verdict.missing for verdict in verdicts),
        lead_max_ms=max((verdict.lead / 8 for verdict in verdicts), default=0.0),
        trail_max_ms=max((verdict.trail / 8 for verdict in verdicts), default=0.0),
        finished_callbacks=len(told.finished),
        callbacks=told.states,
    )


@contextmanager
def _folder(options: Options, calls: int) -> Iterator[Path]:
    if options.keep is None:
        with tempfile.TemporaryDirectory(prefix="mediaserver-bench-") as name:
            yield Path(name)
    else:
        folder = options.keep.resolve() / f"{calls}-{time.time_ns()}"
        folder.mkdir(parents=True)
        yield folder
