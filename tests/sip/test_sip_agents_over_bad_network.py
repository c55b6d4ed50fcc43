"""Two agents against each other through a network that loses, doubles and reorders.

Whatever the network does, both sides agree in the end, every call ends exactly once on either
side, and nothing is left behind. The seed is in the test's name.
"""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count
from random import Random

import pytest

from farend.sip_bench import ANSWER, OFFER, tokens
from mediaserver.sip.agent import Agent
from mediaserver.sip.events import (
    Answered,
    Cancelled,
    Ended,
    Established,
    Event,
    Invited,
    Refused,
    Reinvited,
)
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.session import Session
from mediaserver.sip.uri import SipUri

CALLER = ("192.0.2.1", 5060)
CALLED = ("192.0.2.2", 5060)
HORIZON = 400.0
"""Long enough for every timer of either side to have run out."""


class Party:
    """An agent and what its application does."""

    def __init__(self, address: tuple[str, int], seed: str) -> None:
        self.address = address
        self.agent = Agent(
            contact=lambda hop: f"sip:x@{hop.local[0]}:{hop.local[1]}", token=tokens(seed)
        )
        self.events: list[Event] = []
        self.plans: list[tuple[float, int, Session, str]] = []
        self._serials = count()

    def plan(self, at: float, session: Session, what: str) -> None:
        """Have the application do something later."""
        heapq.heappush(self.plans, (at, next(self._serials), session, what))

    def do(self, session: Session, what: str, now: float) -> None:
        """What the application does."""
        agent = self.agent
        match what:
            case "ring":
                agent.ring(session, now)
            case "answer":
                agent.answer(session, ANSWER, now)
            case "reject":
                agent.reject(session, 486, now)
            case "reinvite":
                if session.state.value == "established":
                    agent.reinvite(session, OFFER, now)
            case _:
                agent.hang_up(session, now)

    def react(self, event: Event, random: Random) -> None:
        """The application's policy."""
        self.events.append(event)
        session, at = event.session, event.at
        if isinstance(event, Invited):
            self.plan(at + random.random() * 2, session, "ring")
            self.plan(
                at + random.random() * 6, session, random.choice(["answer", "answer", "reject"])
            )
        elif isinstance(event, Reinvited):
            self.plan(at + random.random(), session, random.choice(["answer", "reject"]))
        elif isinstance(event, Answered | Established):
            self.plan(at + random.random() * 4, session, "reinvite")
            self.plan(at + random.random() * 20, session, "hang up")

    def next_time(self) -> float | None:
        """When something is to be done here."""
        times = [at for at in (self.agent.next_timer(),) if at is not None]
        times += [self.plans[0][0]] if self.plans else []
        return min(times, default=None)


class Network:
    """Two parties and the datagrams between them."""

    def __init__(self, seed: int, *, loss: float, double: float, delay: float) -> None:
        self.random = Random(seed)
        self.loss, self.double, self.delay = loss, double, delay
        self.parties = {CALLER: Party(CALLER, f"a{seed}"), CALLED: Party(CALLED, f"b{seed}")}
        self.flying: list[tuple[float, int, Hop, bytes]] = []
        self._serials = count()
        self.now = 0.0

    def drain(self) -> None:
        """Move what the agents sent onto the wire, and let the applications react."""
        for party in self.parties.values():
            for hop, data in party.agent.outgoing():
                self._fly(hop, data)
            for event in party.agent.events():
                party.react(event, self.random)

    def _fly(self, hop: Hop, data: bytes) -> None:
        if self.random.random() < self.loss:
            return
        for _ in range(2 if self.random.random() < self.double else 1):
            at = self.now + self.random.random() * self.delay
            arriving = Hop(hop.transport, hop.remote, hop.local)
            heapq.heappush(self.flying, (at, next(self._serials), arriving, data))

    def run(self, until: float) -> None:
        """Let everything happen in its order."""
        self.drain()
        while True:
            times = [at for party in self.parties.values() if (at := party.next_time()) is not None]
            times += [self.flying[0][0]] if self.flying else []
            if not times or min(times) > until:
                break
            self.now = max(self.now, min(times))
            self._step()
            self.drain()
        self.now = until

    def _step(self) -> None:
        while self.flying and self.flying[0][0] <= self.now:
            _, _, hop, data = heapq.heappop(self.flying)
            self.parties[hop.local].agent.receive(data, hop, self.now)
        for party in self.parties.values():
            party.agent.handle_timer(self.now)
            while party.plans and party.plans[0][0] <= self.now:
                _, _, session, what = heapq.heappop(party.plans)
                party.do(session, what, self.now)

    def call(self) -> Session:
        """One more call from the caller."""
        hop = Hop(Transport.UDP, CALLER, CALLED)
        caller = self.parties[CALLER]
        return caller.agent.invite(
            SipUri.parse("sip:y@192.0.2.2"),
            [hop],
            lambda _: OFFER,
            self.now,
            from_="sip:x@192.0.2.1",
        )


@pytest.mark.parametrize(
    ("seed", "loss", "double", "delay"),
    [
        (seed, loss, double, delay)
        for seed in range(8)
        for loss, double, delay in [(0.0, 0.0, 0.05), (0.1, 0.1, 0.4), (0.4, 0.2, 1.5)]
    ],
)
def test_both_sides_agree_and_nothing_is_left(
    seed: int, loss: float, double: float, delay: float
) -> None:
    network = Network(seed, loss=loss, double=double, delay=delay)
    for number in range(12):
        session = network.call()
        if number % 4 == 3:
            network.parties[CALLER].plan(network.now + network.random.random() * 6, session, "quit")
        network.run(network.now + 0.7)
    network.run(HORIZON)
    caller, called = network.parties[CALLER], network.parties[CALLED]
    for party in (caller, called):
        assert (party.agent.session_count, party.agent.transaction_count) == (0, 0)
        assert party.agent.next_timer() is None
        _check_order(party.events)
    outcomes = Counter(type(event) for event in caller.events)
    assert outcomes[Answered] + outcomes[Refused] == 12
    if loss == 0:
        assert outcomes[Ended] == outcomes[Answered] > 0
        established = [event for event in called.events if isinstance(event, Established)]
        assert len(established) >= outcomes[Answered]


def _check_order(events: list[Event]) -> None:
    """Each session's events tell one story: begun once, ended once, nothing after the end."""
    stories: dict[str, list[str]] = {}
    for event in events:
        stories.setdefault(event.session.id, []).append(type(event).__name__)
        assert not isinstance(event, Ended) or event.session.accepted
    for story in stories.values():
        assert story.count("Ended") <= 1
        assert story.count("Invited") <= 1
        assert story.count("Answered") + story.count("Refused") <= 1
        assert story.count("Established") <= 1
        if "Ended" in story:
            assert story[-1] == "Ended", story
        if Cancelled.__name__ in story:
            assert story[-1] == "Cancelled", story
        if "Answered" in story or "Established" in story:
            assert story[-1] == "Ended", story
