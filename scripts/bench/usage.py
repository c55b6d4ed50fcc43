"""What a process used, as the operating system counts it.

CPU time is read from the process's CPU clock, which is what /proc/PID/stat shows, in nanoseconds
instead of ticks of 10 ms, and includes threads that have ended. Its children, which render files,
are counted apart, with those that have ended by now (`cutime`, `cstime`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import BenchError

_TELLING: Final = re.compile(r"forkserver|resource_tracker|spawn_main|mediaserver(?:\.\w+)+")
"""What tells one Python process of the server from another."""

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
        children_cpu=ended + sum(cpu_or_nothing(child) for child in descendants(pid)),
        core_busy=_busy_seconds(min(os.sched_getaffinity(pid))),
        rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process has in memory, bytes."""

    rss: int
    pss: int
    """With pages that others use too divided among them."""


def read_memory(pid: int) -> Memory:
    """Return what process `pid` has in memory; nothing when it is gone."""
    sizes: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, size, *_ = line.split()
            sizes[name] = int(size) << 10
    return Memory(sizes.get("Rss:", 0), sizes.get("Pss:", 0))


def name_of(pid: int) -> str:
    """Return what a process is: the part of its command line that says it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return "gone"
    found = _TELLING.findall(" ".join(words))
    return str(found[-1]) if found else Path(words[0]).name


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


def cpu_or_nothing(pid: int) -> float:
    """Return the seconds of CPU time a process has used; 0 when it is gone."""
    try:
        return _cpu_seconds(pid)
    except OSError:
        return 0.0


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
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
