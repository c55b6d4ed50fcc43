"""A server without a call: how soon it is there, and what it takes while nothing happens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from ..figures import Process, Quiet
from ..options import Options
from ..server import Server, roomy
from ..usage import cpu_or_nothing, descendants, name_of, read_memory
from .measure import folder_of

STARTS: Final = 3
"""Times each kind of start is tried."""

SETTLED: Final = 5.0
"""Seconds after its start from which a server counts as idle."""

IDLE: Final = 10.0
"""Seconds it is watched."""


def run_quiet(options: Options) -> Quiet:
    """Measure start-up and idleness."""
    fresh: list[float] = []
    again: list[float] = []
    for number in range(STARTS):
        with folder_of(options, f"start-{number}") as folder:
            fresh.append(_start(options, folder))
            again.append(_start(options, folder))
    with folder_of(options, "idle") as folder, _server(options, folder) as server:
        server.wait_until_ready()
        time.sleep(SETTLED)
        processes = _watch(server.pid)
        server.stop()
    return Quiet(fresh_seconds=fresh, again_seconds=again, processes=processes)


def _server(options: Options, folder: Path) -> Server:
    return Server(options, folder, roomy(2000, options.setup_rate))


def _start(options: Options, folder: Path) -> float:
    with _server(options, folder) as server:
        server.wait_until_ready()
        seconds = time.monotonic() - server.started_at
        server.stop()
    return seconds


def _watch(pid: int) -> list[Process]:
    """Return the server's processes and what they use."""
    pids = [pid, *descendants(pid)]
    before = {one: cpu_or_nothing(one) for one in pids}
    began = time.monotonic()
    time.sleep(IDLE)
    elapsed = time.monotonic() - began
    processes = []
    for one in pids:
        memory = read_memory(one)
        processes.append(
            Process(
                name="server" if one == pid else name_of(one),
                rss_mib=memory.rss / (1 << 20),
                pss_mib=memory.pss / (1 << 20),
                cpu_percent=100 * (cpu_or_nothing(one) - before[one]) / elapsed,
            )
        )
    return processes
