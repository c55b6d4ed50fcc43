"""The direction of a media stream: `a=sendrecv` and its three relatives (RFC 8866 6.7)."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """Who sends, seen from the side whose description carries it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """Return the direction that sends and receives as told."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        """Whether this side sends media."""
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        """Whether this side takes media."""
        return self in {Direction.SENDRECV, Direction.RECVONLY}

    @property
    def mirror(self) -> Direction:
        """The same stream seen from the other side (RFC 3264 6.1)."""
        return Direction.of(sends=self.receives, receives=self.sends)

    def within(self, other: Direction) -> Direction:
        """Return what both directions allow."""
        return Direction.of(
            sends=self.sends and other.sends, receives=self.receives and other.receives
        )
