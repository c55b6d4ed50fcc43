"""How far a leg's journal goes."""

from __future__ import annotations

from pathlib import Path

from ..errors import LocalError
from ..rtp.skew import read_leads
from .journal import journal_name, open_journal, read_notes
from .resource import Direction
from .skew import heard_at


def journal_end(folder: Path) -> int:
    """Return the last position of the line that one side or the other of a journal holds.

    LocalError when neither can be read.
    """
    ends: list[int] = []
    faults: list[LocalError] = []
    for side in (Direction.SPEAK, Direction.LISTEN):
        try:
            with open_journal(folder / journal_name(side)) as journal:
                end, rate = journal.end, journal.header.rate
            if side is Direction.LISTEN:
                end = heard_at(read_leads(read_notes(folder)), rate, end)
            ends.append(end)
        except LocalError as error:
            faults.append(error)
    if not ends:
        raise faults[0]
    return max(ends)
