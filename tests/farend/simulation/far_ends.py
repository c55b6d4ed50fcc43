"""Everybody a server talks to: what they do, and when, is drawn at random."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from mediaserver.sip.agent import Agent
from mediaserver.sip.dialog import incoming_key
from mediaserver.sip.events import Answered, Ended, Event, Invited, Refused, Reinvited
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, parse_message
from mediaserver.sip.replies import respond
from mediaserver.sip.session import Session, SessionState
from mediaserver.sip.uri import SipUri

from .documents import FAR_HOST, OURS
from .wire import Endpoint, Wire

if TYPE_CHECKING:
    from .town import Town

SERVER = (OURS, 5060)
FAR = (FAR_HOST, 5060)


def sdp(random: Random, direction: str = "sendrecv") -> bytes:
    """Return what a far end offers or answers."""
    law = random.choice([0, 8])
    events = " 101\r\na=rtpmap:101 telephone-event/8000" if random.random() < 0.7 else ""
    port = random.randrange(30_000, 60_000, 2)
    return (
        "v=0\r\no=- 7 7 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {law}{events}\r\na={direction}\r\n"
    ).encode()


BAD = (
    b"v=0\r\no=- 7 7 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    b"m=video 9 RTP/AVP 31\r\n",
    b"not SDP at all",
    b"v=0\r\no=- 7 7 IN IP6 ::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n",
)
"""Offers and answers that fit nothing."""


class FarEnds(Endpoint):
    """Everybody else: whoever calls the server, and whoever it calls."""

    def __init__(self, wire: Wire, town: Town) -> None:
        super().__init__(wire, FAR, f"far{town.seed}", self._heard)
        self._town = town
        self._random = town.random
        self._challenged: set[str] = set()
        self.obliging = False
        """Whether they answer at once, and do nothing else until they are told to."""
        self.left: dict[str, Session] = {}
        """Sessions that are not over, by their ids."""

    def call(self, body: bytes) -> Session:
        """Call the server."""
        target = SipUri.parse(f"sip:in@{SERVER[0]}")
        hop = Hop(Transport.UDP, FAR, SERVER)
        session = self.command(
            lambda agent, now: agent.invite(
                target, [hop], lambda _: body, now, from_="<sip:caller@192.0.2.9>"
            )
        )
        self.left[session.id] = session
        return session

    def receive(self, data: bytes, hop: Hop) -> None:
        """A REFER is taken on, and told of, as agents of ours do not."""
        message = parse_message(data, stream=False)
        if isinstance(message, Request) and message.method == "REFER":
            self._referred(message, hop)
        else:
            super().receive(data, hop)

    def end_all(self) -> None:
        """Hang up whatever is up."""
        for session in list(self.left.values()):
            self._do(session, "hang up")

    def _later(self, wait: float, session: Session, what: str) -> None:
        self._town.after(wait * self._random.random(), self._do, session, what)

    def _heard(self, event: Event) -> None:
        random, session = self._random, event.session
        if isinstance(event, Invited):
            self.left[session.id] = session
            self._rung(session, event.request)
        elif isinstance(event, Reinvited):
            self._later(0.5, session, random.choice(["accept", "refuse"]))
        elif isinstance(event, Answered):
            if not session.invite.body:
                body = sdp(random) if random.random() < 0.9 else random.choice(BAD)
                self.command(lambda agent, _: agent.acknowledge(session, body))
            self._live(session)
        elif isinstance(event, Ended | Refused):
            self.left.pop(session.id, None)
        if session.over:
            self.left.pop(session.id, None)

    def _rung(self, session: Session, invite: Request) -> None:
        random = self._random
        if self.obliging:
            self._do(session, "answer")
            return
        if random.random() < 0.1 and invite.call_id not in self._challenged:
            self._challenged.add(invite.call_id)
            self._do(session, "challenge")
            return
        wait = 0.0
        for what in random.choice(
            [[], ["ring"], ["ring", "early"], ["early"], ["early", "early"], ["bad early"]]
        ):
            wait += random.random() * 2
            self._town.after(wait, self._do, session, what)
        final = random.choices(["answer", "reject", "", "bad answer"], [10, 3, 2, 1])[0]
        if final:
            wait += random.random() * random.choice([0.01, 3])
            self._town.after(wait, self._do, session, final)

    def _live(self, session: Session) -> None:
        """Do this and that in a call that is up, and hang up some time or never."""
        random = self._random
        if self.obliging:
            return
        doings = [
            "hold", "resume", "bad offer", "no offer", "info", "key", "key", "talk", "hush",
        ]  # fmt: skip
        for _ in range(random.choice([0, 1, 3, 12])):
            self._later(12, session, random.choice(doings))
        if random.random() < 0.6:
            self._later(random.choice([0.1, 8, 30]), session, "hang up")

    def _do(self, session: Session, what: str) -> None:
        random = self._random
        if session.over:
            return
        self._town.note(f"far end {session.id[:4]}: {what}")

        def act(agent: Agent, now: float) -> None:
            match what:
                case "ring":
                    agent.ring(session, now)
                case "early":
                    agent.ring(session, now, status=183, body=sdp(random))
                case "bad early":
                    agent.ring(session, now, status=183, body=random.choice(BAD))
                case "answer" | "accept":
                    body = sdp(random)
                    empty = what == "answer" and session.invite.body and random.random() < 0.05
                    fields = [("Allow", "INVITE, ACK, BYE, CANCEL, INFO")]
                    agent.answer(session, b"" if empty else body, now, fields)
                    if what == "answer":
                        self._live(session)
                case "bad answer":
                    agent.answer(session, random.choice(BAD), now)
                case "reject" | "refuse":
                    agent.reject(session, random.choice([404, 480, 486, 503, 603, 302]), now)
                case "challenge":
                    fields = [("Proxy-Authenticate", 'Digest realm="far", nonce="n1"')]
                    agent.reject(session, 407, now, headers=fields)
                case "hang up":
                    agent.hang_up(session, now)
                case "info":
                    body = f"Signal={random.choice('12#*')}\r\nDuration=160\r\n".encode()
                    agent.info(session, "application/dtmf-relay", body, now)
                case "hold" | "resume" | "bad offer" | "no offer":
                    if session.state is SessionState.ESTABLISHED:
                        agent.reinvite(session, self._offer(what), now)
                case _:
                    self._town.voice(session, what)

        self.command(act)

    def _offer(self, what: str) -> bytes:
        random = self._random
        if what == "hold":
            return sdp(random, random.choice(["sendonly", "inactive"]))
        if what == "resume":
            return sdp(random)
        return random.choice(BAD) if what == "bad offer" else b""

    def _referred(self, refer: Request, hop: Hop) -> None:
        random = self._random
        session = self.agent._core.dialogs.get(incoming_key(refer))
        if session is None or session.dialog is None:
            return
        session.dialog.remote_cseq = refer.cseq.number
        if refer.call_id in self._challenged:  # seen before: a copy
            return
        status = random.choice([202, 202, 603])
        self._wire.send(hop, respond(refer, status, to_tag=session.local_tag).to_bytes())
        if status == 202 and random.random() < 0.7:
            self._town.after(random.random() * 4, self._notify, session)

    def _notify(self, session: Session) -> None:
        if session.over or session.state is not SessionState.ESTABLISHED:
            return
        core = self.agent._core
        news = self._random.choice([b"SIP/2.0 200 OK\r\n", b"SIP/2.0 486 Busy Here\r\n"])
        fields = [
            ("Event", "refer"),
            ("Subscription-State", "terminated;reason=noresource"),
            ("Content-Type", "message/sipfrag;version=2.0"),
        ]
        self.command(
            lambda agent, now: (
                core.dialog_request(
                    session, "NOTIFY", lambda outcome, now: None, now, headers=fields, body=news
                )
                and None
            )
        )
