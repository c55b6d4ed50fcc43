"""Which legs are joined: the party of each hears the other's (`rtp.relay`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from .leg import RtpLeg

if TYPE_CHECKING:
    from .media import MediaEngine

DRIFT: Final = 80
"""Samples of drift (`rtp.relay`) that are made up for when nobody is heard."""

MOST_DRIFT: Final = 480
"""Samples that are made up for at a time; a gap as long, whoever is heard."""

PAUSE: Final = 400
"""Samples of silence in which a shift goes unheard."""


class Joins:
    """The pairs of legs of an engine. A leg is in one pair at a time."""

    def __init__(self, engine: MediaEngine) -> None:
        self._engine = engine
        self._partners: dict[int, RtpLeg] = {}

    def join(self, one: RtpLeg, other: RtpLeg) -> None:
        """Join two legs, each of which parts from what it was joined to; not one that is closed."""
        if self._partners.get(one.slot) is other:
            return
        self.part(one)
        self.part(other)
        if one is other or not (self._engine.is_open(one) and self._engine.is_open(other)):
            return
        self._partners[one.slot] = other
        self._partners[other.slot] = one
        self.renew(one)

    def part(self, leg: RtpLeg) -> None:
        """Pass on no more from this leg and to it."""
        engine = self._engine
        other = self._partners.pop(leg.slot, None) if engine.is_open(leg) else None
        if other is None:
            return
        del self._partners[other.slot]
        for one in (leg, other):
            engine.taps.parting(one.slot)
            engine.relays.close(one.slot)
            engine.relax(one)

    def renew(self, leg: RtpLeg) -> None:
        """Pass on what was negotiated for now; called when that changed. Nothing if not joined."""
        other = self._partners.get(leg.slot)
        if other is None or leg.session is None or other.session is None:
            return
        engine = self._engine
        for heard, sent in ((leg, other), (other, leg)):
            kinds, tables = heard.passage(sent)
            engine.relays.open(heard.slot, sent.slot, kinds, audio=tables)
            engine.hurry(heard)
            engine.taps.joined(sent.slot)

    def partner(self, leg: RtpLeg) -> RtpLeg | None:
        """Return the leg whose packets are passed on to this one."""
        other = self._partners.get(leg.slot)
        to = self._engine.relays.to
        return other if other is not None and to[other.slot] == leg.slot else None

    def make_up(self) -> None:
        """Let the clocks of legs follow what is passed on to them, where nobody is heard."""
        relays, tapes = self._engine.relays, self._engine.tapes
        for slot in np.flatnonzero(np.abs(relays.drift) >= DRIFT).tolist():
            amount = min(int(relays.drift[slot]), MOST_DRIFT)
            # What goes back in time takes the place of what was heard before: that must be silence.
            silent = PAUSE + max(0, amount)
            if amount <= -MOST_DRIFT or tapes.pausing(int(relays.to[slot]), silent):
                relays.make_up(slot, amount)
