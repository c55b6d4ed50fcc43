"""Whom a call asks, and who is told what it hears."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...addresses import Network
from ...audio.live_codec import LiveCodec
from ...swml.actions import Speaker


class Fetched(Protocol):
    """What an HTTP request brought."""

    @property
    def body(self) -> bytes:
        """The whole body."""

    @property
    def content_type(self) -> str | None:
        """The media type, without parameters."""

    @property
    def charset(self) -> str | None:
        """How the body is written as octets, if it was said."""


class Fetcher(Protocol):
    """Fetches over HTTP what the operator allows to be fetched."""

    def get(self, url: str, *, max_bytes: int, timeout: float) -> Awaitable[Fetched]:
        """Return what is at `url`; PeerError with a sentence when it cannot be had."""

    def ask(
        self,
        url: str,
        *,
        body: bytes | None,
        max_bytes: int,
        timeout: float,
        allow: tuple[Network, ...] | None = None,
    ) -> Awaitable[Fetched]:
        """Return the answer to a signed POST of a JSON body, or to a signed GET if that is None.

        `allow` are networks that may be reached besides public addresses; None: those that all
        fetches may. PeerError as for `get`.
        """


class Answered(Protocol):
    """What an HTTP request brought, whatever its status."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by name in lower case."""

    @property
    def body(self) -> bytes:
        """The whole body."""


class Requester(Protocol):
    """Makes the requests of scripts."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        timeout: float,
    ) -> Awaitable[Answered]:
        """Return the answer; PeerError with a sentence when there is none to be had."""


class RtpOutput(Protocol):
    """A stream of RTP to somebody who listens along."""

    source: tuple[str, int]
    """The address it comes from."""

    def send(self, number: int, samples: NDArray[np.int16]) -> None:
        """Send a frame, shape (n,), at 8 kHz; never waits. Its time follows from its number."""

    def close(self) -> None:
        """Send no more."""


class RtpOutputs(Protocol):
    """Opens streams of RTP."""

    def open(self, host: str, port: int, codec: LiveCodec) -> RtpOutput:
        """Return a stream to an address, a frame a packet.

        PeerError with a sentence when it is none that may be sent to; LocalError when there is no
        socket left.
        """


class WebSocket(Protocol):
    """A WebSocket of ours to a server."""

    def send(self, message: str | bytes) -> Awaitable[None]:
        """Send a message when those before are on their way; PeerError when it cannot be."""

    def receive(self) -> Awaitable[str | bytes | None]:
        """Return the next message; None when the other side has said goodbye.

        PeerError when the connection is lost.
        """

    def close(self) -> Awaitable[None]:
        """Say goodbye, and wait a moment for the answer."""


class WebSockets(Protocol):
    """Connects to WebSocket servers that the operator allows."""

    def connect(
        self, url: str, *, headers: Mapping[str, str], timeout: float, secure: bool
    ) -> Awaitable[WebSocket]:
        """Return a connection; PeerError with a sentence when there is none to be had.

        With `secure` a `ws:` URL is taken only if its host is in `outbound.allow`.
        """


class SpeechEngine(Protocol):
    """Reads texts out."""

    def speak(self, text: str, speaker: Speaker, rate: int) -> Awaitable[NDArray[np.int16]]:
        """Return a text as samples at `rate`; PeerError, LocalError with a sentence if it cannot.

        The samples are shared by all who want the same, and not to be changed.
        """
