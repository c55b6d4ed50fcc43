"""`user_event`: tell whoever follows the call something (contract A8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..actions import UserEvent
from ..limits import MAX_TEXT
from .kinds import Anything, Place
from .method import Method, Parameter


@dataclass(frozen=True, slots=True)
class Event:
    """A map of whatever the script likes."""

    def read(self, value: Any, place: Place) -> Any:
        """Return it, if it is not too long as JSON."""
        filled = Anything(dict).read(value, place)
        if place.scope is not None and len(json.dumps(filled, default=str)) > MAX_TEXT:
            raise place.refuse(f"is longer than {MAX_TEXT} characters as JSON")
        return filled


def _build(values: Mapping[str, Any]) -> UserEvent:
    return UserEvent(event=values["event"])


USER_EVENT: Final = Method(
    name="user_event",
    parameters=(Parameter("event", Event(), required=True),),
    build=_build,
)
