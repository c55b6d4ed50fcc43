"""What the command line may ask for."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import BenchError

BRIEF: Final = (100, 200, 400)
FULL: Final = (*BRIEF, 800, 1500, 2500, 4000)

HOST: Final = "127.0.0.1"
"""Everything happens on loopback."""

YARDSTICKS: Final = ("floor", "asyncio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One invocation."""

    loads: tuple[int, ...]
    """Calls at a time, one run each."""
    seconds: float
    """Length of the steady state that is measured."""
    setup_rate: float
    """New calls a second, and later hang-ups a second."""
    server_core: int
    generator_core: int
    sip_port: int
    caller_port: int
    http_port: int
    callback_port: int
    rtp_first: int
    """First of the server's media ports; a call takes two."""
    stream_first: int
    """First of the generator's media ports; a stream takes every second."""
    yardsticks: tuple[str, ...]
    json: Path | None
    keep: Path | None
    """Where configuration, log and recordings are left; None: they are removed."""

    @property
    def rtp_last(self) -> int:
        """Last of the server's media ports, with some to spare for ports that rest."""
        return self.rtp_first + 2 * (max(self.loads) + 400) - 1


def parse(arguments: list[str] | None = None) -> Options:
    """Return what the command line says; BenchError when it cannot be done."""
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="CPU per recorded call and second, beside two yardsticks.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--full", action="store_true", help="every load up to 4,000 calls")
    parser.add_argument("--calls", help="the loads to run instead, for example 100,400")
    parser.add_argument("--seconds", type=float, default=10.0, help="of steady state measured")
    parser.add_argument("--setup-rate", type=float, default=100.0, help="new calls a second")
    parser.add_argument("--server-core", type=int, default=cores[0])
    parser.add_argument("--generator-core", type=int, default=cores[-1])
    parser.add_argument("--sip-port", type=int, default=5070, help="the server's")
    parser.add_argument("--caller-port", type=int, default=5071, help="the generator's SIP port")
    parser.add_argument("--http-port", type=int, default=8070, help="the server's")
    parser.add_argument("--callback-port", type=int, default=8071, help="where callbacks arrive")
    parser.add_argument("--rtp-first", type=int, default=10000, help="the server's media ports")
    parser.add_argument("--stream-first", type=int, default=20000, help="the generator's")
    parser.add_argument("--no-yardsticks", action="store_true", help="the server alone")
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    parser.add_argument("--keep", type=Path, help="leave log, recordings and configuration here")
    given = parser.parse_args(arguments)
    options = Options(
        loads=_loads(given.calls) if given.calls else FULL if given.full else BRIEF,
        seconds=given.seconds,
        setup_rate=given.setup_rate,
        server_core=given.server_core,
        generator_core=given.generator_core,
        sip_port=given.sip_port,
        caller_port=given.caller_port,
        http_port=given.http_port,
        callback_port=given.callback_port,
        rtp_first=given.rtp_first,
        stream_first=given.stream_first,
        yardsticks=() if given.no_yardsticks else YARDSTICKS,
        json=given.json,
        keep=given.keep,
    )
    _check(options, cores)
    return options


def _loads(text: str) -> tuple[int, ...]:
    try:
        loads = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BenchError(f"--calls takes numbers with commas between them, not {text!r}") from None
    if min(loads) < 1:
        raise BenchError("--calls: a load has at least one call")
    return loads


def _check(options: Options, cores: list[int]) -> None:
    for core in (options.server_core, options.generator_core):
        if core not in cores:
            raise BenchError(f"core {core} is not one of those this process may use: {cores}")
    if options.seconds < 2 or options.setup_rate <= 0:
        raise BenchError("--seconds must be 2 or more and --setup-rate above 0")
    if options.rtp_first % 2:
        raise BenchError("--rtp-first must be even")
    calls = max(options.loads)
    ours = range(options.rtp_first, options.rtp_last + 1)
    theirs = range(options.stream_first, options.stream_first + 2 * calls + 2)
    if max(ours[-1], theirs[-1]) > 65535:
        raise BenchError(f"there are not enough ports above --rtp-first for {calls} calls")
    if ours.start < theirs.stop and theirs.start < ours.stop:
        raise BenchError("--rtp-first and --stream-first: the two ranges of ports overlap")
    for port in (options.sip_port, options.caller_port):
        if port in ours or port in theirs:
            raise BenchError(f"UDP port {port} lies among the media ports")
