"""Which legs are drained at which tick."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .sweep import SocketSet

RELAXED: Final = 5
"""Ticks between two turns of a leg nobody waits for, and twice as many in a crowd."""

CROWD: Final = 500
"""Legs beyond which such a leg has its turn half as often: about a tenth of its cost is the asking.
What is heard is the same; a key, or the end of a recording, is told up to 0.2 s after it came."""

_GROUPS: Final = 2 * RELAXED


@dataclass(frozen=True, slots=True)
class Turn:
    """Sockets to be drained now."""

    hurried: SocketSet
    """Those that are asked for one packet at every tick."""
    due: NDArray[np.bool_]
    """Which of them it is the turn of: those are drained until they are empty."""
    relaxed: SocketSet
    """The others whose turn it is."""


class Turns:
    """The legs in ten groups, which have their turns one after the other, or two at a time.

    A leg somebody waits for is hurried: it is asked for one packet at every tick. It is in its
    group's turn that what came beside is found, and that time passes for it: looking for what is
    not there costs nearly as much as taking what is.
    """

    def __init__(self) -> None:
        self._relaxed: list[dict[int, socket.socket]] = [{} for _ in range(_GROUPS)]
        self._hurried: dict[int, socket.socket] = {}
        self._groups: list[SocketSet | None] = [None] * _GROUPS
        self._pairs: list[SocketSet | None] = [None] * RELAXED
        """Two groups each, half a round apart."""
        self._hurried_set: SocketSet | None = None
        self._due: list[NDArray[np.bool_]] = []

    def add(self, slot: int, sock: socket.socket) -> None:
        """Give a leg its turn from time to time."""
        self.remove(slot)
        self._relaxed[slot % _GROUPS][slot] = sock

    def remove(self, slot: int) -> None:
        """Give a leg no more turns."""
        group = slot % _GROUPS
        self._groups[group] = self._pairs[group % RELAXED] = None
        self._relaxed[group].pop(slot, None)
        if self._hurried.pop(slot, None) is not None:
            self._hurried_set = None

    def hurry(self, slot: int, sock: socket.socket) -> None:
        """Give a leg a turn at every tick."""
        if slot not in self._hurried:
            self.remove(slot)
            self._hurried[slot] = sock
            self._hurried_set = None

    def at(self, tick: int) -> Turn:
        """Return the sockets whose turn it is at a tick."""
        hurried = self._hurried_set
        if hurried is None:
            hurried = SocketSet(self._hurried.keys(), self._hurried.values(), expected=1)
            self._hurried_set = hurried
            self._due = [hurried.slot % RELAXED == group for group in range(RELAXED)]
        return Turn(hurried, self._due[tick % RELAXED], self._relaxed_at(tick))

    def _relaxed_at(self, tick: int) -> SocketSet:
        crowd = sum(map(len, self._relaxed)) > CROWD
        sets, place = (self._groups, tick % _GROUPS) if crowd else (self._pairs, tick % RELAXED)
        found = sets[place]
        if found is None:
            group = self._relaxed[place]
            if not crowd:
                group = group | self._relaxed[place + RELAXED]
            found = sets[place] = SocketSet(group.keys(), group.values())
        return found
