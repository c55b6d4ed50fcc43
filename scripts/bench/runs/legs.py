"""The media engine alone under calls that go both ways: played to, or relayed in pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from mediaserver.errors import LocalError
from mediaserver.recording.journal import open_journal

from ..engine import HowLate, Lateness, Legs, Opened, Started, Taken, serve
from ..figures import Delay, Figure, Recorded
from ..generator import generate
from ..load import Begin, Finish, Heard, Load, Outcome, Prepared
from ..options import Options
from ..process import Child
from ..recordings import Verdict, compare
from ..speech import FRAME, Voice
from ..streams import port_of, sockets_of
from ..usage import read_usage
from .measure import Measured, Say, figure_of, folder_of, measure

SPARE: Final = 10
"""Packets of a prompt that may have been on their way when the listening ended."""


def run_play(calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure the engine while every leg plays a prompt and is captured."""
    figure, outcome = _run("play", calls, calls, options, voice, say)
    figure.problems += unheard(outcome, [sent - SPARE for sent in outcome.packets])
    return figure


def run_relay(pairs: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure the engine while legs are relayed to each other and both directions captured."""
    figure, outcome = _run("relay", pairs, 2 * pairs, options, voice, say)
    figure.problems += unheard(outcome, [outcome.packets[n ^ 1] for n in range(2 * pairs)])
    assert outcome.heard is not None
    figure.relayed = delay_of(outcome.heard)
    return figure


def _run(
    load: str, calls: int, count: int, options: Options, voice: Voice, say: Say
) -> tuple[Figure, Outcome]:
    name = f"{load}-{calls}"
    with folder_of(options, name) as folder:
        legs = Legs(
            count=count,
            paired=load == "relay",
            seconds=options.seconds,
            folder=folder,
            rtp_first=options.rtp_first,
            rtp_last=options.rtp_last,
            ports=tuple(port_of(leg, options.stream_first) for leg in range(count)),
            report_port=options.stream_first + sockets_of(count),
        )
        with Child("engine", options.server_core, serve, legs) as engine:
            opened = engine.expect(Opened, 60)
            empty = read_usage(engine.pid)
            measured, lateness, outcome = _drive(engine, opened, legs, options, name)
            engine.send(Finish())
            taken = engine.expect(list, 120)
        say(f"{name}, comparing every journal with what was said")
        recorded, problems = _compare(folder, taken, outcome, voice, paired=legs.paired)
        figure = figure_of(load, "mediaserver", calls, measured, outcome)
        figure.kib_per_call = (measured.before.rss - empty.rss) / calls / 1024
        figure.tick_p50_ms, figure.tick_p99_ms = lateness.p50, lateness.p99
        figure.recorded = recorded
        figure.problems += problems
    return figure, outcome


def _drive(
    engine: Child, opened: Opened, legs: Legs, options: Options, name: str
) -> tuple[Measured, Lateness, Outcome]:
    """Let the load come and go."""
    load = Load(
        streams=legs.count,
        stream_first=options.stream_first,
        seconds=options.seconds,
        targets=opened.ports,
        echo="partner" if legs.paired else "prompt",
        wait=True,
    )
    with Child("generator", options.generator_core, generate, load) as generator:
        generator.expect(Prepared, 60)
        engine.send(Begin())
        engine.expect(Started, 60)
        generator.send(Begin())
        measured = measure(engine.pid, generator, options, 30, name, legs.count)
        engine.send(HowLate(options.seconds))
        lateness = engine.expect(Lateness, 30)
        return measured, lateness, generator.expect(Outcome, 120)


def _compare(
    folder: Path, taken: list[Taken], outcome: Outcome, voice: Voice, *, paired: bool
) -> tuple[Recorded, list[str]]:
    """Compare what was captured of every leg with what was said: of a pair, by both parties."""
    verdicts: list[Verdict] = []
    wrong: list[str] = []
    for take in taken:
        if take.fault is not None or take.reason != "hangup":
            wrong.append(f"leg {take.leg}: ended by {take.reason}; {take.fault or 'no fault'}")
        sides = {"speak": take.leg, "listen": take.leg + 1} if paired else {"speak": take.leg}
        for side, party in sides.items():
            said = voice.said(outcome.starts[party], outcome.packets[party])
            try:
                with open_journal(folder / take.journal / f"{side}.journal") as journal:
                    # What it hears is on a line of its own.
                    whole = journal.header.first, journal.end
                    stretch = (take.start, take.end) if side == "speak" else whole
                    verdict = compare(journal.read(*stretch), said)
            except LocalError as error:
                wrong.append(str(error))
                continue
            verdicts.append(verdict)
            if not verdict.right:
                wrong.append(f"leg {take.leg}, {side}: {verdict.fault(said.size)}")
    recorded = Recorded(
        files=len(outcome.packets) if paired else len(taken),
        files_right=sum(verdict.right for verdict in verdicts),
        samples_sent=FRAME * sum(outcome.packets),
        samples_missing=sum(verdict.missing for verdict in verdicts),
        lead_max_ms=max((verdict.lead / 8 for verdict in verdicts), default=0.0),
        trail_max_ms=max((verdict.trail / 8 for verdict in verdicts), default=0.0),
    )
    return recorded, [f"{len(wrong)} journals are wrong; {wrong[0]}"] if wrong else []


def delay_of(heard: Heard) -> Delay:
    """Return how late what was relayed came."""
    delays = 1000 * heard.delays if heard.delays.size else np.zeros(1)
    return Delay(
        packets=heard.delays.size,
        p50_ms=float(np.quantile(delays, 0.5)),
        p99_ms=float(np.quantile(delays, 0.99)),
        max_ms=float(delays.max()),
    )


def unheard(outcome: Outcome, expected: list[int]) -> list[str]:
    """Return what the streams should have heard and did not; `expected` packets each at least."""
    heard = outcome.heard
    assert heard is not None
    faults: list[str] = []
    if sum(heard.gaps):
        faults.append(f"{sum(heard.gaps)} packets were lost on their way back")
    if heard.disordered:
        faults.append(f"{heard.disordered} packets came back twice or out of order")
    if heard.strangers:
        faults.append(f"{heard.strangers} packets came back to a stream they were not for")
    short = [
        n for n, (got, due) in enumerate(zip(heard.packets, expected, strict=True)) if got < due
    ]
    if short:
        one = short[0]
        faults.append(
            f"{len(short)} streams heard too little; stream {one}: {heard.packets[one]} packets "
            f"of {expected[one]}"
        )
    if heard.wrong:
        faults.append(
            f"of {heard.looked_at} streams compared {len(heard.wrong)} heard something else; "
            f"{heard.wrong[0]}"
        )
    return faults
