"""What a process used, as the operating system counts it.

CPU time is read from the process's CPU clock, which is what /proc/PID/stat shows, in nanoseconds
instead of ticks of 10 ms, and includes threads that have ended. Its children, which render files,
are counted apart, with those that have ended by now (`cutime`, `cstime`).
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import BenchError

_TICK: Final = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals since the process started, at the instant `at` (monotonic seconds)."""

    at: float
    cpu: float
    """Seconds of the process itself, all threads."""
    children_cpu: float
    """Seconds of its children and theirs."""
    rss: int
    """Bytes of the process itself in memory."""
    core_busy: float
    """Seconds that the core it is pinned to was busy, whoever with, since the machine started."""


def read_usage(pid: int) -> Usage:
    """Return what process `pid` has used by now; BenchError when it is gone."""
    try:
        fields = _stat(pid)
        cpu = _cpu_seconds(pid)
    except OSError:
        raise BenchError("a process that was being measured ended before its time") from None
    at = time.monotonic()
    ended = (int(fields[13]) + int(fields[14])) * _TICK
    return Usage(
        at=at,
        cpu=cpu,
        children_cpu=ended + sum(_cpu_or_nothing(child) for child in _descendants(pid)),
        core_busy=_busy_seconds(min(os.sched_getaffinity(pid))),
        rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


def udp_drops(first: int, last: int) -> int:
    """Return how many datagrams the kernel dropped at sockets bound to ports `first` to `last`."""
    dropped = 0
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if first <= int(fields[1].rpartition(":")[2], 16) <= last:
            dropped += int(fields[-1])
    return dropped


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (the second may hold spaces)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise ProcessLookupError(pid)
    return time.clock_gettime(clock.value)


def _busy_seconds(core: int) -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, interrupt, soft = map(int, ticks[:7])
            return (user + nice + system + interrupt + soft) * _TICK
    return 0.0


def _cpu_or_nothing(pid: int) -> float:
    try:
        return _cpu_seconds(pid)
    except OSError:
        return 0.0


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
            except (OSError, IndexError):
                continue
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found
