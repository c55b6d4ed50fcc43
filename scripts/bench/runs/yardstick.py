"""A yardstick under the same streams as the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..compiled import Work, compiled
from ..figures import Figure
from ..generator import generate
from ..load import Echo, Load, Outcome
from ..options import Options
from ..process import Channel, Child
from ..streams import port_of
from ..yardsticks import Drain, Ready, endpoints, floor
from .measure import figure_of, measure

_ECHOES: Final[dict[str, Echo]] = {"record": "none", "play": "prompt", "relay": "partner"}
_PAIRED: Final = {"relay", "bridged"}
_SAME_WORK: Final = {"stereo": "play", "bridged": "relay"}
"""Loads that are another with SIP."""


def run_yardstick(kind: str, calls: int, options: Options, load: str = "record") -> Figure:
    """Measure a yardstick under `calls` calls (or pairs) of a load.

    `compiled` does all of its work; the others take what comes and send nothing.
    """
    streams = 2 * calls if load in _PAIRED else calls
    work = _SAME_WORK.get(load, load)
    generated = Load(
        streams=streams,
        stream_first=options.stream_first,
        seconds=options.seconds,
        targets=tuple(options.rtp_first + 2 * stream for stream in range(streams)),
        echo=_ECHOES[work] if kind == "compiled" else "none",
    )
    parties = tuple(port_of(stream, options.stream_first) for stream in range(streams))
    bodies: dict[str, tuple[Callable[[Any, Channel], None], object]] = {
        "floor": (floor, Drain(streams, options.rtp_first)),
        "asyncio": (endpoints, Drain(streams, options.rtp_first)),
        "compiled": (compiled, Work(work, parties, options.rtp_first)),
    }
    body, order = bodies[kind]
    with (
        Child(kind, options.server_core, body, order) as subject,
        Child("generator", options.generator_core, generate, generated) as generator,
    ):
        subject.expect(Ready, 30)
        measured = measure(subject.pid, generator, options, 30, f"{kind}-{calls}", streams)
        outcome = generator.expect(Outcome, 30)
    return figure_of(load, kind, calls, measured, outcome)
