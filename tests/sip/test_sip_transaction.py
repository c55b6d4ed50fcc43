"""The transaction machines of RFC 3261 section 17 and RFC 6026, on a clock moved by hand."""

from __future__ import annotations

import pytest

from farend.sip_bench import TCP_HOP, UDP_HOP, request, response
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, Response, parse_message
from mediaserver.sip.replies import respond
from mediaserver.sip.routing import note_source
from mediaserver.sip.schedule import Schedule
from mediaserver.sip.timers import PATIENCE, Timer, first, following
from mediaserver.sip.transaction import Failure, ServerTransaction, TransactionLayer
from mediaserver.sip.transaction_table import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    Machine,
    State,
)


class Layer:
    """A layer with everything it does written down."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.sent: list[tuple[float, Hop, bytes]] = []
        self.acks: list[Request] = []
        self.heard: list[Response | Failure] = []
        self.now = 0.0
        self.layer = TransactionLayer(
            self._send, self.schedule, lambda ack, _: self.acks.append(ack)
        )

    def _send(self, hop: Hop, data: bytes) -> None:
        self.sent.append((self.now, hop, data))

    def wait(self, seconds: float) -> list[float]:
        """Let time pass; the times of what was sent meanwhile, from the start of the wait."""
        start, end, known = self.now, self.now + seconds, len(self.sent)
        while (at := self.schedule.next()) is not None and at <= end:
            self.now = at
            self.schedule.run(at)
        self.now = end
        return [round(at - start, 3) for at, _, _ in self.sent[known:]]

    def take(self, data: bytes, hop: Hop = UDP_HOP) -> ServerTransaction | None:
        """Hand in a request; the new transaction if it makes one."""
        message = read(data)
        note_source(message, hop)
        return None if self.layer.absorb(message, self.now) else self.layer.open(message, hop)

    def call(self, method: str, hop: Hop = UDP_HOP) -> Request:
        """Send a request."""
        message = read(request(method))
        self.layer.request(message, hop, lambda outcome, _: self.heard.append(outcome), self.now)
        return message

    def hear(self, data: bytes) -> None:
        """Hand in a response."""
        message = parse_message(data)
        assert isinstance(message, Response)
        self.layer.receive_response(message, self.now)


def read(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def answer(layer: Layer, transaction: ServerTransaction, status: int) -> None:
    reply = respond(transaction.request, status, to_tag="ours")
    layer.layer.respond(transaction, reply, layer.now)


@pytest.mark.parametrize("machine", [INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER])
def test_every_state_of_a_machine_can_be_reached_and_left(machine: Machine) -> None:
    reached = {machine.start} | {move.to for move in machine.table.values()}
    left = {state for state, _ in machine.table}
    assert State.TERMINATED in reached
    assert reached - {State.TERMINATED} == left
    assert set(machine.timers) <= left


@pytest.mark.parametrize("machine", [INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER])
def test_a_timer_that_runs_in_a_state_is_heeded_there(machine: Machine) -> None:
    running = {(state, timer) for state, timers in machine.timers.items() for timer in timers}
    heeded = {key for key in machine.table if isinstance(key[1], Timer)}
    assert running == heeded


def test_retransmission_timers_do_not_run_over_a_reliable_transport() -> None:
    assert [first(timer, reliable=True) for timer in (Timer.A, Timer.E, Timer.G)] == [None] * 3
    assert [first(timer, reliable=True) for timer in (Timer.D, Timer.I, Timer.J, Timer.K)] == [
        0
    ] * 4
    assert first(Timer.L, reliable=True) == first(Timer.M, reliable=True) == 32
    assert following(Timer.A, 16) == 32
    assert following(Timer.G, 4) == 4


def test_an_unanswered_invite_is_sent_seven_times_in_32_seconds() -> None:
    layer = Layer()
    layer.call("INVITE")
    assert layer.wait(100) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert layer.heard == [Failure.TIMEOUT]
    assert len(layer.layer) == 0


def test_an_unanswered_request_is_sent_again_at_most_every_four_seconds() -> None:
    layer = Layer()
    layer.call("BYE")
    assert layer.wait(100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert layer.heard == [Failure.TIMEOUT]
    assert len(layer.layer) == 0


def test_over_tcp_a_request_is_sent_once_and_times_out_all_the_same() -> None:
    layer = Layer()
    layer.call("INVITE", TCP_HOP)
    assert layer.wait(31.9) == []
    assert layer.heard == []
    layer.wait(0.2)
    assert layer.heard == [Failure.TIMEOUT]


def test_a_provisional_response_stops_the_invite_from_being_sent_again() -> None:
    layer = Layer()
    invite = layer.call("INVITE")
    layer.hear(response(invite, 180))
    assert layer.wait(200) == []
    assert len(layer.layer) == 1


def test_a_provisional_response_slows_other_requests_to_every_four_seconds() -> None:
    layer = Layer()
    info = layer.call("INFO")
    layer.hear(response(info, 100))
    assert layer.wait(12) == [0.5, 4.5, 8.5]


def test_a_refused_invite_is_acknowledged_once_for_each_copy_of_the_refusal() -> None:
    layer = Layer()
    invite = layer.call("INVITE")
    refusal = response(invite, 486)
    layer.hear(refusal)
    layer.hear(refusal)
    acks = [read(data) for _, _, data in layer.sent[1:]]
    assert [ack.method for ack in acks] == ["ACK", "ACK"]
    assert acks[0].via == invite.via
    assert acks[0].to.tag == "theirs"
    assert str(acks[0].cseq) == "1 ACK"
    assert len(layer.heard) == 1
    assert layer.wait(32) == []
    assert len(layer.layer) == 0


def test_each_copy_of_a_2xx_reaches_the_user_while_the_transaction_is_accepted() -> None:
    layer = Layer()
    invite = layer.call("INVITE")
    for _ in range(3):
        layer.hear(response(invite, 200))
    assert len(layer.heard) == 3
    layer.wait(32)
    layer.hear(response(invite, 200))
    assert len(layer.heard) == 3
    assert len(layer.layer) == 0


def test_a_late_copy_of_a_final_response_to_bye_is_swallowed() -> None:
    layer = Layer()
    bye = layer.call("BYE")
    layer.hear(response(bye, 200))
    layer.hear(response(bye, 200))
    assert len(layer.heard) == 1
    layer.wait(5)
    assert len(layer.layer) == 0


def test_a_response_with_a_second_via_is_not_for_us() -> None:
    layer = Layer()
    invite = layer.call("INVITE")
    double = response(invite, 200).replace(b"From:", b"Via: SIP/2.0/UDP elsewhere\r\nFrom:", 1)
    layer.hear(double)
    assert layer.heard == []


def test_a_transport_error_ends_a_client_transaction() -> None:
    layer = Layer()
    layer.call("INVITE")
    layer.layer.transport_failed(Hop(Transport.UDP, UDP_HOP.local, ("192.0.2.10", 5060)), 0.0)
    assert layer.heard == []
    layer.layer.transport_failed(UDP_HOP, 0.0)
    assert layer.heard == [Failure.TRANSPORT]
    assert len(layer.layer) == 0


def test_a_retransmitted_invite_is_answered_from_the_transaction() -> None:
    layer = Layer()
    transaction = layer.take(request("INVITE"))
    assert transaction is not None
    answer(layer, transaction, 180)
    assert layer.take(request("INVITE")) is None
    assert [data for _, _, data in layer.sent] == [layer.sent[0][2]] * 2


def test_a_refusal_is_repeated_until_its_ack_and_at_most_32_seconds() -> None:
    layer = Layer()
    transaction = layer.take(request("INVITE"))
    assert transaction is not None
    answer(layer, transaction, 486)
    assert layer.wait(100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert len(layer.layer) == 0


def test_an_ack_stops_the_refusal_and_is_swallowed() -> None:
    layer = Layer()
    transaction = layer.take(request("INVITE"))
    assert transaction is not None
    answer(layer, transaction, 486)
    assert layer.take(request("ACK", to_tag="ours")) is None
    assert layer.wait(4.9) == []
    assert transaction.state is State.CONFIRMED
    layer.wait(0.2)
    assert len(layer.layer) == 0
    assert layer.acks == []


def test_an_accepted_invite_swallows_copies_for_32_seconds() -> None:
    layer = Layer()
    transaction = layer.take(request("INVITE"))
    assert transaction is not None
    answer(layer, transaction, 200)
    assert layer.take(request("INVITE")) is None
    assert len(layer.sent) == 1
    layer.take(request("ACK", to_tag="ours", branch="z9hG4bK-other"))
    layer.take(request("ACK", to_tag="ours"))
    assert len(layer.acks) == 2
    layer.wait(PATIENCE)
    assert len(layer.layer) == 0


def test_a_request_over_tcp_is_forgotten_once_answered() -> None:
    layer = Layer()
    transaction = layer.take(request("OPTIONS", transport="TCP"), TCP_HOP)
    assert transaction is not None
    answer(layer, transaction, 200)
    layer.wait(0)
    assert len(layer.layer) == 0


def test_a_response_is_remembered_32_seconds_over_udp() -> None:
    layer = Layer()
    transaction = layer.take(request("OPTIONS"))
    assert transaction is not None
    answer(layer, transaction, 200)
    layer.wait(31.9)
    assert layer.take(request("OPTIONS")) is None
    assert len(layer.sent) == 2
    layer.wait(0.1)
    assert len(layer.layer) == 0


@pytest.mark.parametrize("branch", [None, "77ef4c2312983.1"])
def test_a_peer_of_rfc_2543_is_matched_by_everything_its_copies_share(branch: str | None) -> None:
    layer = Layer()
    transaction = layer.take(request("INVITE", branch=branch))
    assert transaction is not None
    answer(layer, transaction, 486)
    assert layer.take(request("INVITE", branch=branch)) is None
    assert layer.take(request("INVITE", branch=branch, cseq=2)) is not None
    layer.take(request("ACK", branch=branch, to_tag="somebody-else"))
    assert layer.wait(1) == [0.5]
    layer.take(request("ACK", branch=branch, to_tag="ours"))
    assert layer.wait(10) == []


def test_the_same_branch_from_another_sender_is_another_transaction() -> None:
    layer = Layer()
    assert layer.take(request("OPTIONS")) is not None
    assert layer.take(request("OPTIONS", via="192.0.2.9:5062")) is not None
    assert layer.take(request("OPTIONS")) is None


def test_a_cancel_finds_the_invite_of_its_branch() -> None:
    layer = Layer()
    invite = layer.take(request("INVITE"))
    cancel = read(request("CANCEL"))
    assert layer.layer.invite_of(cancel) is invite
    assert layer.layer.invite_of(read(request("CANCEL", branch="z9hG4bK-b"))) is None


def test_a_request_that_took_two_paths_is_recognised() -> None:
    layer = Layer()
    layer.take(request("INVITE"))
    assert layer.layer.is_merged(read(request("INVITE", branch="z9hG4bK-b")))
    assert not layer.layer.is_merged(read(request("INVITE", branch="z9hG4bK-b", cseq=2)))
    assert not layer.layer.is_merged(read(request("INVITE", branch="z9hG4bK-b", to_tag="x")))


@pytest.mark.parametrize(
    ("via", "source", "target"),
    [
        ("192.0.2.9:5062", ("192.0.2.9", 7000), ("192.0.2.9", 5062)),
        ("192.0.2.9", ("192.0.2.9", 7000), ("192.0.2.9", 5060)),
        ("10.0.0.1:5062;rport", ("192.0.2.9", 7000), ("192.0.2.9", 7000)),
        ("10.0.0.1:5062", ("192.0.2.9", 7000), ("192.0.2.9", 5062)),
        ("pc.example.org", ("192.0.2.9", 7000), ("192.0.2.9", 5060)),
        ("192.0.2.9:5062;maddr=192.0.2.77", ("192.0.2.9", 7000), ("192.0.2.77", 5062)),
        ("192.0.2.9:5062;maddr=name.example", ("192.0.2.9", 7000), ("192.0.2.9", 5062)),
    ],
)
def test_a_response_over_udp_goes_where_the_via_says(
    via: str, source: tuple[str, int], target: tuple[str, int]
) -> None:
    layer = Layer()
    transaction = layer.take(request("OPTIONS", via=via), Hop(Transport.UDP, UDP_HOP.local, source))
    assert transaction is not None
    answer(layer, transaction, 200)
    assert layer.sent[0][1].remote == target


def test_received_and_rport_are_noted_in_the_topmost_via_alone() -> None:
    layer = Layer()
    data = request("OPTIONS", via="pc.example.org:5062;rport")
    data = data.replace(b"Max-Forwards", b"Via: SIP/2.0/UDP b.example;branch=x\r\nMax-Forwards", 1)
    transaction = layer.take(data)
    assert transaction is not None
    answer(layer, transaction, 200)
    reply = parse_message(layer.sent[0][2])
    assert reply.via.received == "192.0.2.9"
    assert reply.via.rport == 5060
    assert str(reply.vias[1]) == "SIP/2.0/UDP b.example;branch=x"


def test_a_response_leaves_a_lost_connection_for_the_address_in_the_via_once() -> None:
    layer = Layer()
    transaction = layer.take(request("INVITE", transport="TCP"), TCP_HOP)
    assert transaction is not None
    answer(layer, transaction, 486)
    layer.layer.transport_failed(TCP_HOP, layer.now)
    assert [hop.remote for _, hop, _ in layer.sent] == [TCP_HOP.remote, ("192.0.2.9", 5060)]
    layer.layer.transport_failed(layer.sent[1][1], layer.now)
    assert len(layer.sent) == 2
    layer.wait(PATIENCE)
    assert len(layer.layer) == 0


def test_a_schedule_does_not_keep_what_was_cancelled() -> None:
    schedule = Schedule()
    done: list[int] = []
    for number in range(10_000):
        schedule.set(number, float(number), lambda _, n=number: done.append(n))  # type: ignore[misc]
        if number:
            schedule.cancel(number)
    assert len(schedule) == 1
    assert len(schedule._heap) < 2_000
    schedule.run(20_000.0)
    assert done == [0]
    assert schedule.next() is None
