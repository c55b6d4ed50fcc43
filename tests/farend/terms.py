"""What two ends of a leg have agreed on, where the test is about something else."""

from __future__ import annotations

from mediaserver.sdp.codec import PCMU
from mediaserver.sdp.direction import Direction
from mediaserver.sdp.session import AudioSession


def pcmu(remote_rtp: tuple[str, int], remote_rtcp: tuple[str, int] | None = None) -> AudioSession:
    """Return a session of PCMU alone, both ways, 20 ms a packet, without keys."""
    return AudioSession(
        remote_rtp=remote_rtp,
        remote_rtcp=remote_rtcp,
        rtcp_mux=False,
        receive={0: PCMU},
        send_payload_type=0,
        send_codec=PCMU,
        receive_events={},
        send_events=None,
        comfort_noise=frozenset(),
        ptime=20,
        direction=Direction.SENDRECV,
        held=False,
    )
