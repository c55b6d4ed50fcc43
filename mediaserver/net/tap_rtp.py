"""Live audio sent out as RTP, to an address that wants no answer (contract A8 `tap`).

The socket is one of its own and only sends. What the receiver's host says about it (a port that is
closed) is not listened to: RTP is lossy, and the call has nothing to do with who listens along.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from ipaddress import ip_address

import numpy as np
from numpy.typing import NDArray

from ..audio.live_codec import Encoder, LiveCodec
from ..errors import LocalError, PeerError
from ..rtp.packet import build_packet


class RtpTap:
    """One stream of RTP. `source` is the address it comes from."""

    def __init__(self, sock: socket.socket, source: tuple[str, int], codec: LiveCodec) -> None:
        self.source = source
        self._socket = sock
        self._codec = codec
        self._encoder = Encoder(codec)
        assert codec.clock is not None
        self._ticks = codec.clock * codec.ptime // 1000
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._base = secrets.randbits(32)
        self._next = -1
        self.lost = 0
        """Packets that the socket did not take."""

    def send(self, number: int, samples: NDArray[np.int16]) -> None:
        """Send frame `number`, shape (n,); after frames that were left out a new spurt begins."""
        packet = build_packet(
            self._codec.payload_type,
            self._sequence,
            self._base + number * self._ticks,
            self._ssrc,
            self._encoder.encode(samples),
            marker=number != self._next,
        )
        self._next = number + 1
        self._sequence += 1
        try:
            self._socket.send(packet)
        except OSError:  # a full buffer, or nobody there
            self.lost += 1

    def close(self) -> None:
        """Send no more."""
        self._socket.close()


class RtpTaps:
    """Opens streams to where the operator allows."""

    def __init__(self, host: str, advertise: str, permits: Callable[[str], bool]) -> None:
        """`host` is the local address to send from, `advertise` what others know it as.

        `permits` tells whether live audio may go to an address.
        """
        self._host = host
        self._advertise = advertise
        self._permits = permits

    def open(self, host: str, port: int, codec: LiveCodec) -> RtpTap:
        """Return a stream to an address; PeerError when it may not or cannot be sent to.

        LocalError when there is no socket left.
        """
        try:
            address = ip_address(host)
        except ValueError:
            raise PeerError(400, "RTP is sent to an IP address, not to a name") from None
        if not 0 < port < 65536:
            raise PeerError(400, "the port is one of 1 to 65535")
        if codec.clock is None:
            raise PeerError(400, f"RTP is sent as PCMU, PCMA, G722 or OPUS, not as {codec.name}")
        if not self._permits(host):
            raise PeerError(403, f"{host} is not a public address, nor is it in outbound.allow")
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise LocalError(f"no socket for a tap: {error.strerror}") from None
        # Of the other family there is no local address of ours to send from but the system's.
        ours = (":" in self._host) == (address.version == 6)
        try:
            sock.setblocking(False)
            if ours:
                sock.bind((self._host, 0))
            sock.connect((host, port))
        except OSError as error:
            sock.close()
            raise PeerError(502, f"{host} cannot be reached: {error.strerror}") from None
        local, local_port = sock.getsockname()[:2]
        return RtpTap(sock, (self._advertise if ours else local, local_port), codec)
