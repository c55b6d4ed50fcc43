"""Messages cut out of a byte stream (RFC 3261 18.3, RFC 5626 3.5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from mediaserver.errors import PeerError
from mediaserver.sip.limits import MAX_MESSAGE_BYTES
from mediaserver.sip.message import answerable_error
from mediaserver.sip.section import only_content_length, read_section

_CRLF = b"\r\n"
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The peer sent CRLF CRLF between messages and wants a CRLF back (RFC 5626 3.5.1)."""


class StreamFramer:
    """Holds what one connection has sent of a message that is not yet complete.

    At most `max_message` bytes are kept. Each byte is searched once, however the stream is cut
    into pieces. After an error no boundary can be trusted any more: the connection must be closed.
    """

    def __init__(self, max_message: int = MAX_MESSAGE_BYTES) -> None:
        self._max = min(max_message, MAX_MESSAGE_BYTES)
        self._buffer = bytearray()
        self._searched = 0
        self._needed: int | None = None
        self._error: PeerError | None = None

    @property
    def error(self) -> PeerError | None:
        """Why the stream cannot be read any further; a SipParseError when it can be answered."""
        return self._error

    @property
    def buffered(self) -> int:
        """Bytes kept for a message that is not yet complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes | KeepAlive]:
        """Take what arrived and return the messages that are complete now.

        A run of keep-alives gives one marker. PeerError (400 or 413) when the stream is broken;
        when complete messages came before the fault in the same piece they are returned first,
        `error` is set at once, and the next call raises.
        """
        if self._error is not None:
            raise self._error
        self._buffer += data
        frames: list[bytes | KeepAlive] = []
        try:
            while (frame := self._next()) is not None:
                if not (frames and isinstance(frame, KeepAlive) and frames[-1] == frame):
                    frames.append(frame)
        except PeerError as error:
            self._error = error
            self._buffer.clear()
            if not frames:
                raise
        return frames

    def _next(self) -> bytes | KeepAlive | None:
        if self._needed is None:
            if self._buffer.startswith(_END):
                del self._buffer[: len(_END)]
                return KeepAlive()
            if len(self._buffer) < len(_END) and _END.startswith(self._buffer):
                return None
            if self._buffer.startswith(_CRLF):  # 7.5: ignored before a message
                del self._buffer[: len(_CRLF)]
            self._find_end()
        if self._needed is None or len(self._buffer) < self._needed:
            return None
        message = bytes(self._buffer[: self._needed])
        del self._buffer[: self._needed]
        self._needed = None
        self._searched = 0
        return message

    def _find_end(self) -> None:
        end = self._buffer.find(_END, self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(_END) + 1)
            if len(self._buffer) > self._max:
                raise PeerError(413, "Message Too Large")
            return
        head = bytes(self._buffer[: end + len(_END)])
        if len(head) > self._max:
            raise PeerError(413, "Message Too Large")
        section = read_section(head)
        try:
            length = only_content_length(section.headers)
            if len(head) + length > self._max:
                raise PeerError(413, "Message Too Large")
        except PeerError as error:
            raise answerable_error(section, error) from None
        self._needed = len(head) + length
