"""Which legs are drained at which tick."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .sweep import SocketSet

RELAXED: Final = 5
"""Ticks between two turns of a leg nobody waits for."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Sockets to be drained now."""

    sockets: SocketSet
    thorough: bool
    """Until they are empty; else only what is likely to be there is asked for."""


class Turns:
    """The legs in five groups, which have their turns one after the other.

    A leg somebody waits for is hurried: it is asked for one packet at every other tick, too. It is
    in its group's turn that what came beside is found, and that time passes for it: looking for
    what is not there costs nearly as much as taking what is.
    """

    def __init__(self) -> None:
        self._relaxed: list[dict[int, socket.socket]] = [{} for _ in range(RELAXED)]
        self._hurried: list[dict[int, socket.socket]] = [{} for _ in range(RELAXED)]
        self._thorough: list[list[SocketSet] | None] = [None] * RELAXED
        self._quick: list[SocketSet | None] = [None] * RELAXED

    def add(self, slot: int, sock: socket.socket) -> None:
        """Give a leg its turn at every `RELAXED`th tick."""
        self._change(slot, sock, self._relaxed)

    def remove(self, slot: int) -> None:
        """Give a leg no more turns."""
        self._change(slot, None, self._relaxed)

    def hurry(self, slot: int, sock: socket.socket) -> None:
        """Give a leg a turn at every tick."""
        self._change(slot, sock, self._hurried)

    def due(self, tick: int) -> Iterator[Turn]:
        """Yield the sockets whose turn it is at a tick."""
        now = tick % RELAXED
        sets = self._thorough[now]
        if sets is None:
            sets = [
                SocketSet(group.keys(), group.values())
                for group in (self._hurried[now], self._relaxed[now])
            ]
            self._thorough[now] = sets
        hurried, relaxed = sets
        if len(hurried):
            yield Turn(hurried, thorough=True)
        quick = self._quick[now]
        if quick is None:
            others = [pair for n, group in enumerate(self._hurried) if n != now
                      for pair in group.items()]  # fmt: skip
            quick = SocketSet([s for s, _ in others], [sock for _, sock in others], expected=1)
            self._quick[now] = quick
        if len(quick):
            yield Turn(quick, thorough=False)
        if len(relaxed):
            yield Turn(relaxed, thorough=True)

    def _change(
        self, slot: int, sock: socket.socket | None, where: list[dict[int, socket.socket]]
    ) -> None:
        group = slot % RELAXED
        was_hurried = self._hurried[group].pop(slot, None)
        self._relaxed[group].pop(slot, None)
        if sock is not None:
            where[group][slot] = sock
        self._thorough[group] = None
        if was_hurried is not None or where is self._hurried:
            self._quick = [None] * RELAXED
