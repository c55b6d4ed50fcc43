"""Which legs are drained at which tick."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .sweep import SocketSet

RELAXED: Final = 5
"""Ticks between two turns of a leg nobody waits for."""


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
    """The legs in five groups, which have their turns one after the other.

    A leg somebody waits for is hurried: it is asked for one packet at every tick. It is in its
    group's turn that what came beside is found, and that time passes for it: looking for what is
    not there costs nearly as much as taking what is.
    """

    def __init__(self) -> None:
        self._relaxed: list[dict[int, socket.socket]] = [{} for _ in range(RELAXED)]
        self._hurried: dict[int, socket.socket] = {}
        self._relaxed_sets: list[SocketSet | None] = [None] * RELAXED
        self._hurried_set: SocketSet | None = None
        self._due: list[NDArray[np.bool_]] = []

    def add(self, slot: int, sock: socket.socket) -> None:
        """Give a leg its turn at every `RELAXED`th tick."""
        self.remove(slot)
        self._relaxed[slot % RELAXED][slot] = sock

    def remove(self, slot: int) -> None:
        """Give a leg no more turns."""
        group = slot % RELAXED
        self._relaxed_sets[group] = None
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
        now = tick % RELAXED
        relaxed = self._relaxed_sets[now]
        if relaxed is None:
            group = self._relaxed[now]
            relaxed = self._relaxed_sets[now] = SocketSet(group.keys(), group.values())
        hurried = self._hurried_set
        if hurried is None:
            hurried = SocketSet(self._hurried.keys(), self._hurried.values(), expected=1)
            self._hurried_set = hurried
            self._due = [hurried.slot % RELAXED == group for group in range(RELAXED)]
        return Turn(hurried, self._due[now], relaxed)
