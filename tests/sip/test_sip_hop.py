from __future__ import annotations

import pytest

from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.reasons import reason_for


def test_only_udp_needs_our_retransmissions() -> None:
    assert not Transport.UDP.reliable
    assert Transport.TCP.reliable


def test_a_hop_is_a_value() -> None:
    ends = (("192.0.2.1", 5060), ("192.0.2.2", 5070))
    assert Hop(Transport.UDP, *ends) == Hop(Transport("UDP"), *ends)
    assert len({Hop(Transport.UDP, *ends), Hop(Transport.TCP, *ends)}) == 2


@pytest.mark.parametrize(("status", "reason"), [(200, "OK"), (299, "Success"), (999, "Unknown")])
def test_every_status_has_a_phrase(status: int, reason: str) -> None:
    assert reason_for(status) == reason
