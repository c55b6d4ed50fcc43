"""What both sides of an offer and answer need."""

from __future__ import annotations

import pytest

from mediaserver.sdp.codec import PCMA, PCMU, TELEPHONE_EVENT
from mediaserver.sdp.negotiation import LocalAudio


@pytest.fixture
def local() -> LocalAudio:
    return LocalAudio("192.0.2.1", 10_000, (PCMU, PCMA, TELEPHONE_EVENT), session_id=7)
