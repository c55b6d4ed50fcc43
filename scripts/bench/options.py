"""What the command line may ask for."""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import BenchError

PARTS: Final = (
    "record", "stereo", "play", "relay", "bridged", "churn", "joining", "overload", "ending",
    "quiet", "shelf",
)  # fmt: skip
"""What can be measured: calls that are recorded, played to, relayed in pairs, connected on by SIP;
calls that come and go, and such that are connected on; more calls than there is room for; calls
that end together; a server without calls; one with many recordings."""

BRIEF: Final[dict[str, tuple[int, ...]]] = {
    "record": (400,),
    "stereo": (100,),
    "play": (200,),
    "relay": (100,),
    "bridged": (100,),
}
FULL: Final[dict[str, tuple[int, ...]]] = {
    "record": (400, 800, 1500, 1600, 3200, 4000),
    "stereo": (100, 200, 400),
    "play": (100, 200, 400),
    "relay": (100, 200, 400, 600, 800, 1200, 1450),
    "bridged": (100, 200, 400, 600, 800, 1000, 1150, 1300),
}
"""A quarter, a half and 80 % of the whole are among them: does a call cost more in a crowd?"""

HOST: Final = "127.0.0.1"
"""Everything happens on loopback."""

YARDSTICKS: Final = ("floor", "asyncio", "compiled")
"""The first is part of every run, the others of full ones. See `yardsticks` and
`compiled`."""

ASYNCIO_MOST: Final = 1000
"""Streams beyond which asyncio's endpoints are not tried: one core cannot carry them."""

JOINING_MOST: Final = 1000
"""Calls at a time there is room for in `joining`."""

SLOWER: Final = 4
"""Calls that are connected on are placed so many times as slowly as others: each costs as much as
several."""

MOST_TIMES: Final = 3
"""What an overload offers, as a multiple of the capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One invocation."""

    parts: tuple[str, ...]
    loads: dict[str, tuple[int, ...]]
    """Of parts that have them: calls (or pairs) at a time, one run each."""
    capacity: int
    """Calls the server is taken to carry, for `churn` and `overload`; 0: the most of `record`."""
    recordings: int
    """Of `shelf`."""
    seconds: float
    """Length of the steady state that is measured."""
    setup_rate: float
    """New calls a second, and later hang-ups a second."""
    server_core: int
    generator_core: int
    sip_port: int
    caller_port: int
    callee_port: int
    http_port: int
    callback_port: int
    rtp_first: int
    """First of the server's media ports; a leg takes two."""
    stream_first: int
    """First of the generator's media ports; 64 streams share one."""
    yardsticks: tuple[str, ...]
    json: Path | None
    markdown: Path | None
    keep: Path | None
    """Where configuration, log and recordings are left; None: they are removed."""
    profile: Path | None
    """Where py-spy leaves what it saw of each run."""

    @property
    def most_legs(self) -> int:
        """The most legs a server or engine has open at a time."""
        return max(self.most_calls, self.most_legs_both_ways, 2 * self.most_bridged)

    @property
    def most_legs_both_ways(self) -> int:
        """The most legs of an engine that are sent something as well."""
        relay = 2 * max(self.loads["relay"]) if "relay" in self.parts else 0
        return max(relay, max(self.loads["play"]) if "play" in self.parts else 0)

    @property
    def most_bridged(self) -> int:
        """The most calls that are connected on at a time; each has two legs."""
        most = max(self.loads["bridged"]) if "bridged" in self.parts else 0
        return max(most, JOINING_MOST if "joining" in self.parts else 0)

    @property
    def most_calls(self) -> int:
        """The most calls by SIP at a time."""
        by_sip = [max(self.loads[name]) for name in ("record", "stereo") if name in self.parts]
        ending = 800 if "ending" in self.parts else 1
        return max(*by_sip, self.capacity, ending)

    @property
    def most_streams(self) -> int:
        """The most streams the generator has."""
        offered = MOST_TIMES * self.most_calls if "overload" in self.parts else 0
        short = 20_000 if {"churn", "joining"} & set(self.parts) else 0
        return max(self.most_legs, offered, short)

    @property
    def rtp_last(self) -> int:
        """Last of the server's media ports, with some to spare for ports that rest."""
        spare = 1600 if {"churn", "joining"} & set(self.parts) else 400
        return self.rtp_first + 2 * (self.most_legs + spare) - 1


def parse(arguments: list[str] | None = None) -> Options:
    """Return what the command line says; BenchError when it cannot be done."""
    cores = sorted(os.sched_getaffinity(0))
    given = _parser(cores).parse_args(arguments)
    loads = dict(FULL if given.full else BRIEF)
    asked = {name: getattr(given, name) for name in BRIEF if getattr(given, name)}
    loads |= {name: _numbers(name, text) for name, text in asked.items()}
    parts = _parts(given.only) if given.only else tuple(asked) or _usual(full=given.full)
    options = Options(
        parts=parts,
        loads=loads,
        capacity=given.capacity,
        recordings=given.recordings,
        seconds=given.seconds,
        setup_rate=given.setup_rate,
        server_core=given.server_core,
        generator_core=given.generator_core,
        sip_port=given.sip_port,
        caller_port=given.caller_port,
        callee_port=given.callee_port,
        http_port=given.http_port,
        callback_port=given.callback_port,
        rtp_first=given.rtp_first,
        stream_first=given.stream_first,
        yardsticks=() if given.no_yardsticks else YARDSTICKS if given.full else YARDSTICKS[:1],
        json=given.json,
        markdown=given.markdown,
        keep=given.keep,
        profile=given.profile,
    )
    _check(options, cores)
    return options


def _parser(cores: list[int]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="What calls cost, with every sample compared with what was sent.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--full", action="store_true", help="every part, and every load of each")
    add("--only", help=f"these parts instead, with commas between them: {', '.join(PARTS)}")
    add("--record", help="calls recorded at a time, for example 100,400")
    add("--stereo", help="calls recorded in stereo while they are played to, by SIP")
    add("--play", help="calls played to and recorded at a time")
    add("--relay", help="pairs of legs relayed and recorded at a time")
    add("--bridged", help="calls connected on and recorded in stereo, by SIP")
    add("--capacity", type=int, default=0, help="calls for churn and overload; 0: most of record")
    add("--recordings", type=int, default=100_000, help="recordings kept, for shelf")
    add("--seconds", type=float, default=10.0, help="of steady state measured")
    add("--setup-rate", type=float, default=100.0, help="new calls a second")
    add("--server-core", type=int, default=cores[0])
    add("--generator-core", type=int, default=cores[-1])
    add("--sip-port", type=int, default=5070, help="the server's")
    add("--caller-port", type=int, default=5071, help="the generator's SIP port")
    add("--callee-port", type=int, default=5072, help="whom it connects calls on to")
    add("--http-port", type=int, default=8070, help="the server's")
    add("--callback-port", type=int, default=8071, help="where callbacks arrive")
    add("--rtp-first", type=int, default=10000, help="the server's media ports")
    add("--stream-first", type=int, default=30000, help="the generator's")
    add("--no-yardsticks", action="store_true", help="the server alone")
    add("--json", type=Path, help="also write everything measured to this file")
    add("--markdown", type=Path, help="also write the tables to this file")
    add("--keep", type=Path, help="leave log, recordings and configuration here")
    add("--profile", type=Path, help="have py-spy watch the server; a folder for what it saw")
    return parser


def _usual(*, full: bool) -> tuple[str, ...]:
    return PARTS if full else tuple(BRIEF)


def _parts(text: str) -> tuple[str, ...]:
    asked = {part.strip() for part in text.split(",")}
    unknown = asked - set(PARTS)
    if unknown:
        raise BenchError(
            f"--only: there is no part {unknown.pop()!r}; there are {', '.join(PARTS)}"
        )
    return tuple(part for part in PARTS if part in asked)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BenchError(f"--{name} takes numbers with commas between them, not {text!r}") from None
    if min(numbers) < 1:
        raise BenchError(f"--{name}: a load has at least one call")
    return numbers


def _check(options: Options, cores: list[int]) -> None:
    for core in (options.server_core, options.generator_core):
        if core not in cores:
            raise BenchError(f"core {core} is not one of those this process may use: {cores}")
    if options.seconds < 2 or options.setup_rate <= 0:
        raise BenchError("--seconds must be 2 or more and --setup-rate above 0")
    if min(options.capacity, options.recordings - 1) < 0:
        raise BenchError("--capacity must be 0 or more and --recordings 1 or more")
    if {"churn", "overload"} & set(options.parts) and options.most_calls < 2:
        raise BenchError("churn and overload need --capacity where record is not measured")
    if options.profile is not None and shutil.which("py-spy") is None:
        raise BenchError("--profile needs py-spy on the PATH")
    _check_ports(options)


def _check_ports(options: Options) -> None:
    if options.rtp_first % 2:
        raise BenchError("--rtp-first must be even")
    ours = range(options.rtp_first, options.rtp_last + 1)
    theirs = range(options.stream_first, options.stream_first + options.most_streams // 64 + 40)
    if max(ours[-1], theirs[-1]) > 65535:
        raise BenchError("there are not enough ports above --rtp-first for such loads")
    if ours.start < theirs.stop and theirs.start < ours.stop:
        raise BenchError("--rtp-first and --stream-first: the two ranges of ports overlap")
    for port in (options.sip_port, options.caller_port, options.callee_port):
        if port in ours or port in theirs:
            raise BenchError(f"UDP port {port} lies among the media ports")
