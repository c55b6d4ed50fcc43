"""The machine: what it is, and what of it this process may use."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from .errors import BenchError
from .options import SLOWER, Options

FILES_PER_CALL = 3
"""Files a server holds open for a call that is recorded: two sockets and a journal."""

FILES_PER_LEG = 4
"""The same for a leg that is sent something as well, which is a second journal."""

SAMPLE_BYTES_PER_SECOND = 16_000
"""Of one call's journal, and again of its wav."""


def describe() -> str:
    """Return CPU model, cores, kernel and Python in one line."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{model}, {cores} core{'s' * (cores != 1)}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def raise_file_limit(options: Options) -> None:
    """Allow as many open files as are needed; BenchError when that may not be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 1000 + max(
        FILES_PER_CALL * options.most_calls,
        FILES_PER_LEG * max(options.most_legs_both_ways, 2 * options.most_bridged),
    )
    if hard == resource.RLIM_INFINITY or hard >= needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
    except (OSError, ValueError):
        raise BenchError(
            f"{options.most_legs} legs need {needed} open files and this shell allows {hard}: "
            "raise `ulimit -Hn`, or run less"
        ) from None


def check_disk(options: Options, where: Path) -> None:
    """Raise BenchError when the recordings of the largest load will not fit."""
    calls = options.most_calls
    longest = calls / options.setup_rate + options.seconds + 5
    needed = int(calls * longest * SAMPLE_BYTES_PER_SECOND * 2.2)
    both_ways = 2 * options.most_legs * (options.seconds + 10) * SAMPLE_BYTES_PER_SECOND
    slowly = SLOWER * options.most_bridged / options.setup_rate + options.seconds + 5
    bridged = 4 * options.most_bridged * slowly * SAMPLE_BYTES_PER_SECOND
    needed = max(needed, int(both_ways), int(bridged))
    free = shutil.disk_usage(where).free
    if free < needed:
        raise BenchError(
            f"{calls} calls leave {needed >> 20} MiB in {where}, where {free >> 20} MiB are free: "
            "name another place with TMPDIR, or run less"
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other benches from running meanwhile; BenchError when one does already.

    The lock is an abstract Unix socket: nothing is left behind, however we end.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind("\0mediaserver-bench")
        except OSError:
            raise BenchError(
                "another bench is running here; two would measure each other"
            ) from None
        yield


def stay_on(core: int) -> None:
    """Run this process, and what it starts without saying where, on `core` from now on."""
    os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Let what is started within run on `core` alone, from its first instruction."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
