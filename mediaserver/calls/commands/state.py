"""What a command needs a call to have come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ports import MediaLeg
from .refusals import CommandRefused

if TYPE_CHECKING:
    from ..call import Call


def must_be_answered(call: Call) -> MediaLeg:
    """Return the media leg of an answered call; raises CommandRefused for another."""
    if not call.answered or call.media is None:
        raise CommandRefused("the call has not been answered yet", "id")
    return call.media
