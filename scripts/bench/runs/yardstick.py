"""A yardstick under the load of one-way calls."""

from __future__ import annotations

from typing import Final

from ..figures import Figure
from ..generator import generate
from ..load import Load, Outcome
from ..options import Options
from ..process import Child
from ..yardsticks import Drain, Ready, endpoints, floor
from .measure import figure_of, measure

_BODIES: Final = {"floor": floor, "asyncio": endpoints}


def run_yardstick(kind: str, calls: int, options: Options) -> Figure:
    """Measure a yardstick under `calls` streams."""
    load = Load(
        streams=calls,
        stream_first=options.stream_first,
        seconds=options.seconds,
        targets=tuple(options.rtp_first + 2 * stream for stream in range(calls)),
    )
    drain = Drain(calls, options.rtp_first)
    with (
        Child(kind, options.server_core, _BODIES[kind], drain) as subject,
        Child("generator", options.generator_core, generate, load) as generator,
    ):
        subject.expect(Ready, 30)
        measured = measure(subject.pid, generator, options, 30, f"{kind}-{calls}", calls)
        outcome = generator.expect(Outcome, 30)
    return figure_of("record", kind, calls, measured, outcome)
