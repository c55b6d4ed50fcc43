"""How a server fares: what decides whether calls are let in, and what is told of its health."""

from __future__ import annotations

from typing import Final

from .calls.admission import Admission, Load
from .clock import Clock
from .config import Config
from .net.pulse import Pulse
from .store.reserve import Reserve
from .web.health import DiskHealth, Health, MediaHealth

LOAD_WINDOW: Final = 2.0
"""Seconds of ticks that decide whether new calls are taken on."""


class Condition:
    """Of the media engine, whose `pulse` it is, and of the disk."""

    def __init__(self, config: Config, pulse: Pulse, reserve: Reserve, clock: Clock) -> None:
        self._config = config
        self._pulse = pulse
        self._reserve = reserve
        self._clock = clock

    def admission(self) -> Admission:
        """Return what lets calls in."""
        limits = self._config.limits
        return Admission(
            calls=limits.calls(self._config.rtp.ports.pairs),
            calls_per_second=limits.max_calls_per_second,
            max_lateness=limits.max_tick_lateness,
            load=self._load if limits.max_calls is None else None,
            has_room=lambda: not self._reserve.reached,
        )

    def health(self, *, draining: bool) -> Health:
        """Say "ok" only while a call would be let in, but for a passing overload."""
        reading = self._pulse.read(self._clock.monotonic())
        media = MediaHealth(
            late_p50_ms=1000 * reading.late_p50,
            late_p99_ms=1000 * reading.late_p99,
            busy=reading.busy,
            loop_busy=reading.loop_busy,
        )
        disk = None
        if (room := self._reserve.room) is not None:
            disk = DiskHealth(free_bytes=room.free, reserve_bytes=room.reserve)
        return Health("draining" if draining else "ok", media, disk)

    def _load(self, now: float) -> Load:
        return self._pulse.read(now, LOAD_WINDOW)
