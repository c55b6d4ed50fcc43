"""`tap`: a copy of a call's audio, over RTP or a WebSocket, to whoever listens along (contract A8).

Over a WebSocket every binary message is one frame of 20 ms of the codec and nothing else (of Opus,
one packet). Over RTP it is the payload of a packet. A listener that is slow or dead misses audio;
the call does not notice.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..audio.live_codec import FRAME, Encoder, LiveCodec
from ..errors import PeerError
from ..recording.resource import Direction
from .ending import CallOver
from .ports import LiveAudio, RtpOutput, WebSocket

if TYPE_CHECKING:
    from .call import Call
    from .live_host import LiveHost

CONNECT_TIMEOUT: Final = 5.0
"""Seconds a WebSocket may take to be there; the document waits."""

CODECS: Final = frozenset(("PCMU", "PCMA", "G722", "OPUS"))
"""What a tap may be written as. None has a frame that RTP could not carry."""

_RTP: Final = re.compile(r"rtp://(?P<host>\[[^\[\]/]*\]|[^\[\]/:]+):(?P<port>[0-9]{1,5})/?", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class TapOrder:
    """What is to be tapped, and where it goes."""

    uri: str
    """`rtp://address:port`, `ws://` or `wss://`."""
    control_id: str | None = None
    """None: one is made up."""
    direction: Direction = Direction.SPEAK
    codec: str = "PCMU"
    """PCMU, PCMA, G722 or OPUS, in either case."""
    ptime: int = FRAME
    """Milliseconds of a packet of RTP, 10 to 120 in steps of 10 as far as the codec has them."""
    status_url: str | None = None


class _Sink(Protocol):
    """Where the frames of a tap go."""

    async def send(self, number: int, samples: NDArray[np.int16]) -> None:
        """Send a frame; PeerError when the other side is gone."""

    async def close(self) -> None:
        """Send no more."""


class _ToRtp:
    def __init__(self, output: RtpOutput) -> None:
        self._output = output

    async def send(self, number: int, samples: NDArray[np.int16]) -> None:
        self._output.send(number, samples)

    async def close(self) -> None:
        self._output.close()


class _ToWebSocket:
    def __init__(self, socket: WebSocket, codec: LiveCodec) -> None:
        self.socket = socket
        self._encoder = Encoder(codec)

    async def send(self, number: int, samples: NDArray[np.int16]) -> None:
        await self.socket.send(self._encoder.encode(samples))

    async def close(self) -> None:
        await self.socket.close()


class Tap:
    """A tap that runs. `variables` are those of its start (contract A8)."""

    event: Final = "calling.call.tap"
    running: Final = "tapping"

    def __init__(
        self,
        order: TapOrder,
        control_id: str,
        codec: LiveCodec,
        audio: LiveAudio,
        sink: _Sink,
        source: tuple[str, int] | None,
    ) -> None:
        """`source` is the address a tap over RTP comes from."""
        self.control_id = control_id
        self.id = str(uuid.uuid4())
        self.status_url = order.status_url
        self.status_url_method = "POST"
        self.audio = audio
        self.over = asyncio.Event()
        """Set once it has ended."""
        self._order = order
        self._codec = codec
        self._sink = sink
        self._source = source

    @property
    def variables(self) -> dict[str, Any]:
        """What is known of it."""
        known: dict[str, Any] = {
            "tap_uri": self._order.uri,
            "tap_result": "success",
            "tap_control_id": self.control_id,
            "tap_ptime": self._codec.ptime,
            "tap_codec": self._codec.name,
            "tap_rate": self._codec.clock,
        }
        if self._source is not None:
            known["tap_rtp_src_addr"], known["tap_rtp_src_port"] = self._source
        return known

    @property
    def params(self) -> dict[str, Any]:
        """What its callbacks say of it."""
        to = parse_rtp(self._order.uri)
        device: dict[str, Any] = {"codec": self._codec.name}
        if to is None:
            device["uri"] = self._order.uri
        else:
            device |= {"addr": to[0], "port": to[1], "ptime": self._codec.ptime}
        return {
            "tap": {"type": "audio", "params": {"direction": self._order.direction.value}},
            "device": {"type": "ws" if to is None else "rtp", "params": device},
        }

    async def send(self) -> None:
        """Send what comes, to its end; PeerError when the other side is gone."""
        while (frame := await self.audio.take()) is not None:
            await self._sink.send(frame.number, frame.samples[0])

    async def listen(self) -> None:
        """Wait until the other side wants no more; what it says is nobody's."""
        if not isinstance(self._sink, _ToWebSocket):
            await asyncio.get_running_loop().create_future()  # nobody answers RTP
            return
        while True:
            if await self._sink.socket.receive() is None:
                return
            await asyncio.sleep(0)  # others have their turn, however much comes

    async def say_goodbye(self, reason: str) -> None:
        """Nothing: there are no messages but audio."""

    async def close(self) -> None:
        """Let go of the connection."""
        await self._sink.close()


async def open_tap(call: Call, order: TapOrder, control_id: str) -> Tap:
    """Return a tap of a call that is about to run; PeerError, LocalError when it cannot be."""
    if call.media is None:
        raise CallOver
    if order.codec.upper() not in CODECS:
        raise PeerError(400, "codec: a tap is PCMU, PCMA, G722 or OPUS")
    to = parse_rtp(order.uri)
    try:
        codec = LiveCodec.parse(order.codec, FRAME if to is None else order.ptime)
    except ValueError as error:
        raise PeerError(400, f"codec: {error}") from None
    if codec.must_load:
        await call.unless_over(asyncio.to_thread(codec.load))
    if to is not None:
        output = call.services.rtp_outputs.open(*to, codec)
        audio = call.media.tap(order.direction, codec.ptime)
        return Tap(order, control_id, codec, audio, _ToRtp(output), output.source)
    if order.uri[:5].lower() == "rtp:/":
        raise PeerError(400, "uri: RTP goes to rtp://address:port")
    socket = await connect_socket(call, order.uri, control_id)
    audio = call.media.tap(order.direction, codec.ptime)
    return Tap(order, control_id, codec, audio, _ToWebSocket(socket, codec), None)


async def connect_socket(
    call: LiveHost,
    url: str,
    control_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    secure: bool = False,
) -> WebSocket:
    """Return a WebSocket for a call's audio; PeerError when there is none to be had.

    Its server is told in the handshake whose audio it is about to get. `secure`: see
    `calls.ports.WebSockets`.
    """
    connecting = asyncio.ensure_future(
        call.services.web_sockets.connect(
            url,
            headers={
                "X-Mediaserver-Call": call.id,
                "X-Mediaserver-Control": control_id,
                **(headers or {}),
            },
            timeout=CONNECT_TIMEOUT,
            secure=secure,
        )
    )
    try:
        return await call.unless_over(connecting)
    except BaseException:
        if connecting.done() and not connecting.cancelled() and not connecting.exception():
            call.spawn(_close(connecting.result()))  # it came together with the end
        raise


async def _close(socket: WebSocket) -> None:
    await socket.close()


def parse_rtp(uri: str) -> tuple[str, int] | None:
    """Return the host and the port of an `rtp:` URI; None if it is none."""
    found = _RTP.fullmatch(uri)
    return None if found is None else (found["host"].strip("[]"), int(found["port"]))
