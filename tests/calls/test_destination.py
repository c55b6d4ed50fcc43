"""Whom this server cannot call is said in a sentence, with what to do instead."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mediaserver.calls.destination import place
from mediaserver.calls.dialing import NotDialled
from mediaserver.swml.actions import Destination


@pytest.mark.parametrize(
    ("kind", "address", "more", "said"),
    [
        ("queue", "support line", {}, "queue:support line: .* no queues; join_conference"),
        ("resource", "/public/anna", {}, "/public/anna: .* no resource addresses; name a number"),
        ("sip", "sip:anna@example.com", {"webrtc_media": True}, "webrtc_media: .* leave it out"),
        ("phone", "+4930123456", {"webrtc_media": True}, "webrtc_media: .* WebRTC gateway"),
    ],
)
def test_what_is_not_carried_out_fails_with_what_to_use_instead(
    kind: Any, address: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotDialled, match=said):
        place(cast(Any, None), Destination(kind=kind, address=address, **more))
