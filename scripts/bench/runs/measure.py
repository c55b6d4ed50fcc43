"""A process under load: what it used over the steady state, and whether that says anything."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import BenchError
from ..figures import Answer, Figure
from ..load import Outcome, Steady
from ..options import Options
from ..process import Child
from ..streams import sockets_of
from ..usage import Usage, read_usage, udp_drops

DISTURBED: Final = 5.0
"""Percent of the measured core that others may use before it is said."""

LATE: Final = 0.01
"""Seconds by which 1 % of the generator's turns may be over late before the run says nothing of
the server: half a packet."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The steady state of a run, seen from outside."""

    before: Usage
    after: Usage
    dropped: int = 0
    disturbed_generator: float = 0.0
    """Share of the generator's core that anybody else used, percent."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.after.at - self.before.at

    @property
    def cpu(self) -> float:
        """Seconds of CPU time used."""
        return self.after.cpu - self.before.cpu

    @property
    def children_cpu(self) -> float:
        """The same of the process's children."""
        return self.after.children_cpu - self.before.children_cpu

    @property
    def others_percent(self) -> float:
        """Share of the process's core that neither it nor its children used."""
        busy = self.after.core_busy - self.before.core_busy
        return max(0.0, 100 * (busy - self.cpu - self.children_cpu) / self.seconds)


def measure(
    pid: int, generator: Child, options: Options, patience: float, name: str, streams: int
) -> Measured:
    """Return what `pid` used in the steady state, which begins within `patience` seconds."""
    steady = generator.expect(Steady, patience)
    with _profile(options, pid, name):
        own_before = read_usage(generator.pid)
        before = read_usage(pid)
        # Whole tenths of a second, so that as many sweeps begin as end within.
        time.sleep(max(0.0, steady.at + options.seconds - 0.05 - time.monotonic()))
        after = read_usage(pid)
        own = Measured(own_before, read_usage(generator.pid))
    if after.at > steady.at + options.seconds + 0.25:
        raise BenchError("the bench itself was held up for so long that the figures mean nothing")
    return Measured(before, after, drops(options, streams), own.others_percent)


def drops(options: Options, streams: int) -> int:
    """Return how many datagrams full sockets lost, the server's and the generator's together."""
    ours = udp_drops(options.stream_first, options.stream_first + sockets_of(streams) - 1)
    return ours + udp_drops(options.rtp_first, options.rtp_last)


def figure_of(load: str, subject: str, calls: int, measured: Measured, outcome: Outcome) -> Figure:
    """Return the figure, with what is wrong about the run as far as numbers tell."""
    elapsed, cpu, children = measured.seconds, measured.cpu, measured.children_cpu
    figure = Figure(
        load=load,
        subject=subject,
        calls=calls,
        ms_per_call_second=1000 * cpu / elapsed / calls,
        render_ms_per_call_second=1000 * children / elapsed / calls,
        core_percent=100 * cpu / elapsed,
        others_percent=measured.others_percent,
        dropped=measured.dropped,
        late_p99_ms=1000 * outcome.late_p99,
        late_max_ms=1000 * outcome.late_max,
        generator_percent=100 * outcome.busy,
        generator_us_per_packet=(
            1e6 * outcome.busy * outcome.seconds / max(1, outcome.sent_in_steady)
        ),
    )
    if figure.others_percent > DISTURBED:
        figure.remarks.append(
            f"others used {figure.others_percent:.0f} % of the measured core meanwhile"
        )
    if measured.disturbed_generator > DISTURBED:
        figure.remarks.append(
            f"others used {measured.disturbed_generator:.0f} % of the generator's core"
        )
    if measured.dropped:
        figure.problems.append(f"{measured.dropped} datagrams were dropped by full sockets")
    figure.problems += generator_faults(outcome)
    return figure


def generator_faults(outcome: Outcome) -> list[str]:
    """Return why a run says nothing of the server: the generator did not do its part."""
    faults = []
    if outcome.failed_sends:
        faults.append(f"the generator failed to send {outcome.failed_sends} packets")
    if outcome.late_p99 > LATE:
        faults.append(
            f"the generator was late by {1000 * outcome.late_p99:.1f} ms (p99): "
            "it measured itself, not the subject"
        )
    return faults


def answer_of(seconds: list[float]) -> Answer:
    """Return how long INVITEs waited."""
    answer = 1000 * np.array(seconds or [0.0])
    return Answer(
        calls=len(seconds),
        p50_ms=float(np.quantile(answer, 0.5)),
        p99_ms=float(np.quantile(answer, 0.99)),
    )


@contextlib.contextmanager
def folder_of(options: Options, name: str) -> Iterator[Path]:
    """Yield a new folder for a run, which is removed afterwards unless all is to be kept."""
    if options.keep is None:
        with tempfile.TemporaryDirectory(prefix="mediaserver-bench-") as made:
            yield Path(made)
    else:
        folder = options.keep.resolve() / f"{name}-{time.time_ns()}"
        folder.mkdir(parents=True)
        yield folder


@contextlib.contextmanager
def _profile(options: Options, pid: int, name: str) -> Iterator[None]:
    """Have py-spy watch a process meanwhile, if that was asked for."""
    if options.profile is None:
        yield
        return
    # Not in step with ticks, 50 of which make a second.
    command = ["py-spy", "record", "--pid", str(pid), "--format", "raw", "--rate", "197"]
    command += ["--duration", str(int(options.seconds)), "--output"]
    watcher = subprocess.Popen(
        [*command, str(options.profile / f"{name}.txt")], stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        watcher.wait(options.seconds + 30)
