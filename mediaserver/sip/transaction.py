"""Transactions: one request and everything that answers it (RFC 3261 section 17, RFC 6026).

`transaction_table` says how the machines move; here is what runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum, auto

from mediaserver.sip.derived import refusal_ack
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request, Response
from mediaserver.sip.routing import fallback_hop, response_hop
from mediaserver.sip.schedule import Schedule
from mediaserver.sip.timers import RETRANSMITS, T2, Timer, first, following
from mediaserver.sip.transaction_table import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    Do,
    Input,
    Machine,
    State,
    response_input,
)

Key = tuple[Hashable, ...]


class Failure(Enum):
    """How a client transaction ends without a final response."""

    TIMEOUT = auto()
    """Nobody answered in 64*T1: to be treated as a 408 (RFC 3261 8.1.3.1)."""
    TRANSPORT = auto()
    """It could not be sent: to be treated as a 503 (RFC 3261 8.1.3.1)."""


ClientUser = Callable[[Response | Failure, float], None]
"""Gets every response that is not a copy, or the failure, with the time."""


class Transaction:
    """What the four kinds share. Compared by identity."""

    def __init__(self, machine: Machine, key: Key, request: Request, hop: Hop) -> None:
        self.machine = machine
        self.key = key
        self.request = request
        self.hop = hop
        self.state = machine.start
        self.data: bytes | None = None
        """What `Do.SEND` sends: the request, or the latest response once there is one."""
        self.intervals: dict[Timer, float] = {}
        """The timers that run, with the latest interval of each."""


class ServerTransaction(Transaction):
    """A request we got."""

    def __init__(self, key: Key, request: Request, hop: Hop, back: Hop) -> None:
        machine = INVITE_SERVER if request.method == "INVITE" else SERVER
        super().__init__(machine, key, request, back)
        self.source = hop
        self.merge_key = merge_key(request)
        self.to_tag: str | None = None
        """The To tag of the latest response."""
        self.owner: str | None = None
        """The id of the session that has to answer."""
        self.fell_back = False
        """True once the responses left a lost connection for a new one."""

    @property
    def answered(self) -> bool:
        """True once a final response was sent."""
        return self.state not in (State.TRYING, State.PROCEEDING)


class ClientTransaction(Transaction):
    """A request we sent."""

    def __init__(self, key: Key, request: Request, hop: Hop, user: ClientUser) -> None:
        machine = INVITE_CLIENT if request.method == "INVITE" else CLIENT
        super().__init__(machine, key, request, hop)
        self.user = user
        self.data = request.to_bytes()


def server_key(request: Request, method: str) -> Key:
    """What makes two requests one transaction of `method` (RFC 3261 17.2.3).

    With the magic cookie that is branch and sent-by. Without it, the sender follows RFC 2543
    and everything has to agree that its retransmissions have in common.
    """
    via = request.via
    branch = (via.branch or "").lower()
    if via.has_cookie:
        return (branch, via.sent_by, method)
    number = request.cseq.number
    tag = request.from_.tag
    return (branch, via.sent_by, method, request.uri, tag, request.call_id, number)


def merge_key(request: Request) -> Key | None:
    """What a request that took two paths has the same on both (8.2.2.2); None inside a dialog."""
    if request.to.tag is not None:
        return None
    return (request.from_.tag, request.call_id, request.cseq.number, request.cseq.method)


class TransactionLayer:
    """All transactions of one agent, and the timers that drive them.

    `send` puts bytes on a hop. `on_ack` gets each ACK that is none of the layer's business:
    that of a 2xx, or of nothing we know.
    """

    def __init__(
        self,
        send: Callable[[Hop, bytes], None],
        schedule: Schedule,
        on_ack: Callable[[Request, float], None],
    ) -> None:
        self._send = send
        self._schedule = schedule
        self._on_ack = on_ack
        self._servers: dict[Key, ServerTransaction] = {}
        self._clients: dict[Key, ClientTransaction] = {}
        self._merges: dict[Key, ServerTransaction] = {}
        self._by_hop: dict[Hop, set[Transaction]] = {}

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    # Requests that arrive

    def absorb(self, request: Request, now: float) -> bool:
        """Give `request` to the transaction it belongs to; False when it begins a new one."""
        is_ack = request.method == "ACK"
        found = self._servers.get(server_key(request, "INVITE" if is_ack else request.method))
        if not is_ack:
            if found is not None:
                self._move(found, Input.REQUEST, now)
            return found is not None
        if found is None or not _acknowledges(request, found):
            self._on_ack(request, now)
        else:
            self._move(found, Input.ACK, now, request)
        return True

    def is_merged(self, request: Request) -> bool:
        """True when this new request came before by another path (RFC 3261 8.2.2.2)."""
        key = merge_key(request)
        return key is not None and key in self._merges

    def open(self, request: Request, hop: Hop, back: Hop | None = None) -> ServerTransaction:
        """Begin the server transaction of a request that `absorb` did not know.

        Its responses take the hop `back`, or None: the one that its Via asks for.
        """
        back = back or response_hop(request, hop)
        transaction = ServerTransaction(server_key(request, request.method), request, hop, back)
        self._servers[transaction.key] = transaction
        if transaction.merge_key is not None:
            self._merges.setdefault(transaction.merge_key, transaction)
        self._index(transaction)
        return transaction

    def invite_of(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE that a CANCEL is about (RFC 3261 9.2)."""
        return self._servers.get(server_key(cancel, "INVITE"))

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Send a response; one that comes too late for its transaction is dropped."""
        what = response_input(response.status)
        if (transaction.state, what) in transaction.machine.table:
            transaction.data = response.to_bytes()
            transaction.to_tag = response.to.tag
            self._move(transaction, what, now)

    # Requests we send

    def request(
        self, request: Request, hop: Hop, user: ClientUser, now: float
    ) -> ClientTransaction:
        """Send a request other than ACK; `user` hears how it goes."""
        key = (request.via.branch, request.method)
        transaction = ClientTransaction(key, request, hop, user)
        self._clients[key] = transaction
        self._index(transaction)
        assert transaction.data is not None
        self._start_timers(transaction, now)
        self._send(hop, transaction.data)
        return transaction

    def receive_response(self, response: Response, now: float) -> None:
        """Give a response to its transaction; a stray one is dropped (RFC 6026 8.9)."""
        if len(response.vias) != 1:
            return  # 8.1.3.3: it was meant for somebody behind us, and there is nobody
        found = self._clients.get((response.via.branch, response.cseq.method))
        if found is not None:
            self._move(found, response_input(response.status), now, response)

    def abandon(self, transaction: Transaction) -> None:
        """End a transaction at once, without telling anybody."""
        self._enter(transaction, State.TERMINATED, 0.0)
        if isinstance(transaction, ClientTransaction):
            transaction.user = _nobody

    # Trouble

    def transport_failed(self, hop: Hop, now: float) -> None:
        """A connection was lost, or the network refused what was sent to this address."""
        for transaction in list(self._by_hop.get(hop, ())):
            if isinstance(transaction, ServerTransaction):
                self._fall_back(transaction)
            self._move(transaction, Input.TRANSPORT_ERROR, now)

    def _fall_back(self, transaction: ServerTransaction) -> None:
        # 18.2.2: a lost connection is replaced by one to the address in the Via. Once.
        target = fallback_hop(transaction.request, transaction.hop)
        reliable = transaction.hop.transport.reliable
        if not reliable or transaction.fell_back or target == transaction.hop:
            return
        self._unindex(transaction)
        transaction.fell_back = True
        transaction.hop = target
        self._index(transaction)
        if transaction.data is not None and transaction.answered:
            self._send(target, transaction.data)

    # The engine

    def _move(
        self,
        transaction: Transaction,
        what: Input | Timer,
        now: float,
        message: Request | Response | None = None,
    ) -> None:
        move = transaction.machine.table.get((transaction.state, what))
        if move is None:
            return
        # The state comes first: what the user does about the news must find it settled.
        self._enter(transaction, move.to, now)
        for do in move.do:
            self._do(transaction, do, message, now)
        if transaction.state is State.TERMINATED and isinstance(transaction, ClientTransaction):
            transaction.user = _nobody

    def _do(
        self, transaction: Transaction, do: Do, message: Request | Response | None, now: float
    ) -> None:
        if do is Do.SEND:
            if transaction.data is not None:
                self._send(transaction.hop, transaction.data)
        elif isinstance(transaction, ClientTransaction):
            if do is Do.ACK:
                assert isinstance(message, Response)
                ack = refusal_ack(transaction.request, message)
                self._send(transaction.hop, ack.to_bytes())
            elif do is Do.PASS:
                assert isinstance(message, Response)
                transaction.user(message, now)
            else:
                transaction.user(Failure.TIMEOUT if do is Do.TIMEOUT else Failure.TRANSPORT, now)
        elif do is Do.PASS:
            assert isinstance(message, Request)
            self._on_ack(message, now)

    def _enter(self, transaction: Transaction, state: State, now: float) -> None:
        if state is transaction.state:
            return
        transaction.state = state
        wanted = transaction.machine.timers.get(state, ())
        for timer in [timer for timer in transaction.intervals if timer not in wanted]:
            del transaction.intervals[timer]
            self._schedule.cancel((transaction, timer))
        if state is State.TERMINATED:
            self._forget(transaction)
        else:
            self._start_timers(transaction, now)
        if state is State.PROCEEDING and Timer.E in transaction.intervals:
            transaction.intervals[Timer.E] = T2  # 17.1.2.2: the next interval is T2, not 2*E

    def _start_timers(self, transaction: Transaction, now: float) -> None:
        reliable = transaction.hop.transport.reliable
        for timer in transaction.machine.timers.get(transaction.state, ()):
            interval = first(timer, reliable=reliable)
            if interval is not None and timer not in transaction.intervals:
                self._set_timer(transaction, timer, interval, now)

    def _set_timer(
        self, transaction: Transaction, timer: Timer, interval: float, now: float
    ) -> None:
        def fire(now: float) -> None:
            if timer in RETRANSMITS:
                again = following(timer, transaction.intervals[timer])
                self._set_timer(transaction, timer, again, now)
            self._move(transaction, timer, now)

        transaction.intervals[timer] = interval
        self._schedule.set((transaction, timer), now + interval, fire)

    def _forget(self, transaction: Transaction) -> None:
        self._unindex(transaction)
        if isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction.key, None)
            key = transaction.merge_key
            if key is not None and self._merges.get(key) is transaction:
                del self._merges[key]
        else:
            self._clients.pop(transaction.key, None)

    def _index(self, transaction: Transaction) -> None:
        self._by_hop.setdefault(transaction.hop, set()).add(transaction)

    def _unindex(self, transaction: Transaction) -> None:
        peers = self._by_hop.get(transaction.hop)
        if peers is not None:
            peers.discard(transaction)
            if not peers:
                del self._by_hop[transaction.hop]


def _nobody(outcome: Response | Failure, now: float) -> None:
    """Hear what a transaction that is over has to say: nothing. Whoever heard it often knows it,
    and neither would be freed while each keeps the other.
    """


def _acknowledges(ack: Request, transaction: ServerTransaction) -> bool:
    """With a branch that is unique, yes; RFC 2543 wants the To tag of our response (17.2.3)."""
    return ack.via.has_cookie or ack.to.tag == transaction.to_tag
