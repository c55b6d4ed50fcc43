"""The few SIP messages a caller or callee needs (RFC 3261), written and read as text."""

from __future__ import annotations

from dataclasses import dataclass

from .options import HOST


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response as far as it is looked at."""

    status: int
    """0 for a request."""
    method: str
    """Of a request, or of the request a response answers."""
    fields: dict[str, str]
    """First value of each header field, names in lower case."""
    vias: tuple[str, ...]
    body: str


def read(datagram: bytes) -> Message | None:
    """Return the message in a datagram; None when it is none."""
    head, _, body = datagram.decode("utf-8", "replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    fields: dict[str, str] = {}
    vias: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        if name in {"via", "v"}:
            vias.append(value.strip())
        fields.setdefault(name, value.strip())
    words = first.split(" ", 2)
    if len(words) < 2 or "cseq" not in fields or "call-id" not in fields:
        return None
    status = int(words[1]) if words[0] == "SIP/2.0" and words[1].isdigit() else 0
    return Message(status, fields["cseq"].split()[-1], fields, tuple(vias), body)


def audio_target(sdp: str) -> tuple[str, int] | None:
    """Return where an SDP body wants its audio; None when it wants none."""
    host, port = "", 0
    for line in sdp.splitlines():
        if line.startswith("c=IN IP4 "):
            host = line.split()[2]
        elif line.startswith("m=audio "):
            port = int(line.split()[1])
    return (host, port) if host and port else None


def ok(request: Message) -> bytes:
    """Return a 200 that answers `request`."""
    return _text([*_answer(request), f"To: {request.fields['to']}", "Content-Length: 0"])


def accept(request: Message, *, tag: str, port: int, sdp: str) -> bytes:
    """Return a 200 to an INVITE that came to `port`, with an answer to its offer."""
    lines = [
        *_answer(request),
        f"To: {request.fields['to']};tag={tag}",
        f"Contact: <sip:bench@{HOST}:{port}>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(sdp)}",
    ]
    return _text(lines, sdp)


def audio(stream: int, audio_port: int, rtcp_port: int) -> str:
    """Return an offer, or an answer, of PCMU and telephone events."""
    lines = [
        "v=0",
        f"o=- {stream + 1} 1 IN IP4 {HOST}",
        "s=-",
        f"c=IN IP4 {HOST}",
        "t=0 0",
        f"m=audio {audio_port} RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        f"a=rtcp:{rtcp_port}",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
    return "\r\n".join(lines)


@dataclass(slots=True)
class Dialog:
    """One call's identity, from the caller's side."""

    stream: int
    run: str
    """Makes ids differ between runs."""
    server_port: int
    own_port: int
    to_tag: str = ""
    target: str = ""
    """The server's Contact."""

    @property
    def call_id(self) -> str:
        """Ends in the stream's number, which is how answers find their call."""
        return f"{self.run}-{self.stream}"

    def invite(self, audio_port: int, rtcp_port: int) -> bytes:
        """Return the INVITE, with an offer of PCMU and telephone events."""
        sdp = audio(self.stream, audio_port, rtcp_port)
        return self._request("INVITE", self._aor, 1, sdp)

    def ack(self, *, refused: bool = False) -> bytes:
        """Return the ACK of a 200, or of a final refusal (17.1.1.3), which shares its branch."""
        if refused:
            return self._request("ACK", self._aor, 1, branch="INVITE")
        return self._request("ACK", self.target, 1)

    def bye(self) -> bytes:
        """Return the BYE."""
        return self._request("BYE", self.target, 2)

    @property
    def _aor(self) -> str:
        return f"sip:{self.stream}@{HOST}:{self.server_port}"

    def _request(
        self, method: str, uri: str, number: int, sdp: str = "", branch: str | None = None
    ) -> bytes:
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        here = f"{HOST}:{self.own_port}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{self.call_id}-{branch or method};rport",
            "Max-Forwards: 70",
            f"From: <sip:bench@{here}>;tag={self.call_id}",
            f"To: <{self._aor}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:bench@{here}>",
            *(["Content-Type: application/sdp"] if sdp else []),
            f"Content-Length: {len(sdp)}",
        ]
        return _text(lines, sdp)


def _answer(request: Message) -> list[str]:
    """Return a 200's first lines, all of what it repeats but To."""
    return [
        "SIP/2.0 200 OK",
        *(f"Via: {via}" for via in request.vias),
        *(f"{name}: {request.fields[name.lower()]}" for name in ("From", "Call-ID", "CSeq")),
    ]


def _text(lines: list[str], body: str = "") -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
