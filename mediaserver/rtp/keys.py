"""The DTMF keys that are pressed on legs, as telephone events tell of them (RFC 4733)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .dtmf import DigitDetector, event_duration
from .spans import Spans


@dataclass(frozen=True, slots=True)
class Key:
    """A DTMF key heard on a leg: `position` is the sample its tone began at."""

    slot: int
    digit: str
    position: int


class Keys:
    """Tells presses from their repetitions; `spans` are given how long each key was down."""

    def __init__(self, rate: int, spans: Spans) -> None:
        """`rate` is that of the lines, in Hz."""
        self._rate = rate
        self._spans = spans
        self._detectors: dict[int, DigitDetector] = {}
        self._event_rates: dict[int, Mapping[int, int]] = {}

    def open(self, slot: int) -> None:
        """Begin a leg on which no key was pressed."""
        self._detectors[slot] = DigitDetector()

    def expect(self, slot: int, event_rates: Mapping[int, int]) -> None:
        """Set the clock rates in Hz of payload types that are events; else it is the line's."""
        self._event_rates[slot] = event_rates

    def close(self, slot: int) -> None:
        """Forget a leg."""
        self._detectors.pop(slot, None)
        self._event_rates.pop(slot, None)

    def press(
        self, slot: int, kind: int, timestamp: int, payload: bytes, *, position: int, until: int
    ) -> Key | None:
        """Take one event packet of payload type `kind`; return the key if it tells of a new one.

        `position` is where the key went down. The key is not taken to be down past `until`.
        """
        down = self._detectors[slot].receive(timestamp, payload)
        if down:
            self._spans.press(slot, timestamp, position)
        duration = event_duration(payload)
        if duration:
            rate = self._event_rates[slot].get(kind, self._rate)
            self._spans.press_on(slot, timestamp, duration, unit=self._rate / rate, until=until)
        return Key(slot, down.digit, position) if down else None
