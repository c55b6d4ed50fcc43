"""Calls that come and go beside calls that stand: how long INVITEs wait, what a call costs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Final

from ..figures import SetUp
from ..generator import generate
from ..load import Churn, Churned, Finish, Load, Outcome
from ..options import Options
from ..process import Child
from ..receiver import Listening, receive
from ..server import Server, document_bridged, roomy
from ..speech import Voice
from ..usage import read_usage
from .bridged import FORMATS, Examiner, callbacks, crossed, load_of
from .harvest import complaints, gather
from .measure import LATE, Measured, Say, answer_of, folder_of, generator_faults, measure

RATES: Final = (50, 100, 150, 200, 250, 300, 400)
"""Short calls a second, tried in turn until one is too many."""

JOINING_RATES: Final = (10, 25, 50, 75, 100, 150)
"""The same of calls that are connected on."""

SECONDS: Final = 8
"""Of each rate."""

LIFE: Final = 2.0
"""Seconds a short call lasts."""

BOUND_MS: Final = 100.0
"""Milliseconds within which 99 of 100 INVITEs are to be answered."""

REST: Final = 2.0
"""Seconds after the last of a rate's calls, in which what is left of them is rendered and told."""


def run_churn(standing: int, options: Options, voice: Voice, say: Say) -> list[SetUp]:
    """Measure short calls beside `standing` ones, at one rate after the other."""
    return _run("churn", standing, RATES, options, voice, say)


def run_joining(standing: int, options: Options, voice: Voice, say: Say) -> list[SetUp]:
    """Measure short calls that are connected on, beside such that stand."""
    return _run("joining", standing, JOINING_RATES, options, voice, say)


def _run(
    name: str, standing: int, rates: Sequence[int], options: Options, voice: Voice, say: Say
) -> list[SetUp]:
    bridged = name == "joining"
    calls = standing + sum(rate * SECONDS for rate in rates)
    load = Load.by_sip(calls, options)
    swml: dict[str, object] | None = None
    formats: tuple[str, ...] = ()
    if bridged:
        load = load_of(calls, options)
        swml = document_bridged(options.callback_port, options.callee_port)
        formats = FORMATS
    load = dataclasses.replace(load, standing=standing, hold=True)
    most = standing + 4 * max(rates)
    limits = roomy(2 * most if bridged else most, 2 * max(rates) if bridged else max(rates))
    name = f"{name}-{standing}"
    with (
        folder_of(options, name) as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        Server(options, folder, limits, swml, formats) as server,
    ):
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        with Child("generator", options.generator_core, generate, load) as generator:
            patience = standing / load.setup_rate + 75
            quiet = measure(server.pid, generator, options, patience, name, load.streams)
            found = _climb(generator, server.pid, quiet, standing, rates, say)
            generator.send(Finish())
            outcome = generator.expect(Outcome, patience + 45)
        say(f"{name}, waiting for callbacks and comparing every file")
        if bridged:
            examine = Examiner(outcome, voice).examine
            also = callbacks(outcome.statuses.count(200))
            harvest = gather(server, receiver, options, voice, outcome, examine, also)
            harvest.problems.extend(crossed(outcome))
        else:
            harvest = gather(server, receiver, options, voice, outcome)
        server.stop()
        # Of all rates together, and most likely of the last, which was the one too many.
        found[-1].problems += generator_faults(outcome) + harvest.problems + complaints(server)
    for step in found:
        step.bridged = bridged
    return found


def _climb(
    generator: Child, pid: int, quiet: Measured, standing: int, rates: Sequence[int], say: Say
) -> list[SetUp]:
    """Raise the rate until INVITEs wait too long."""
    found: list[SetUp] = []
    for rate in rates:
        say(f"{standing} calls standing, {rate} a second come and go")
        before = read_usage(pid)
        generator.send(Churn(rate=rate, calls=rate * SECONDS, life=LIFE))
        churned = generator.expect(Churned, 120)
        time.sleep(REST)
        step = _set_up(standing, rate, quiet, Measured(before, read_usage(pid)), churned)
        found.append(step)
        if step.problems or step.answer.p99_ms > BOUND_MS:
            break
    return found


def _set_up(
    standing: int, rate: int, quiet: Measured, measured: Measured, churned: Churned
) -> SetUp:
    calls = rate * SECONDS

    def each(used: Callable[[Measured], float]) -> float:
        return 1000 * (used(measured) - used(quiet) / quiet.seconds * measured.seconds) / calls

    step = SetUp(
        standing=standing,
        rate=rate,
        answer=answer_of(churned.answer_seconds),
        cpu_ms=each(lambda m: m.cpu),
        media_ms=1000 * LIFE * quiet.cpu / quiet.seconds / standing,
        render_ms=each(lambda m: m.children_cpu),
        retransmitted=churned.retransmitted,
        core_percent=100 * measured.cpu / measured.seconds,
        late_p99_ms=1000 * churned.late_p99,
    )
    if churned.failed:
        step.problems.append(f"{churned.failed} of {calls} short calls failed at {rate} a second")
    if churned.late_p99 > LATE:
        step.problems.append(f"the generator was late at {rate} a second: it measured itself")
    return step
