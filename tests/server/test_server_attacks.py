"""Attacks on a live server: the figures of robustness S1, S2, S5, S10, S12 and S13."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.attack_calls import FOREIGN
from farend.phone import Phone
from farend.receiver import Receiver
from farend.scene import Outcome, Outcomes, Stage
from farend.server import FILE_NAME, PROJECT, Server
from farend.speech import choose, passage, utterance
from farend.talker import Talker
from farend.waveform import Samples, around, is_quiet, level, place
from farend.wire import SipMessage


def untouched(outcome: Outcome) -> Samples:
    """Check that a recording has all that was sent and nothing besides; return what is around."""
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    assert outcome.states == ["recording", "finished"]
    rest = around(placement, outcome.sent, outcome.recorded)
    assert is_quiet(rest)
    return rest


def test_s1_of_ten_thousand_foreign_packets_none_is_recorded(hostile: Outcomes) -> None:
    outcome = hostile["injection"]
    rest = untouched(outcome)
    assert level(rest, FOREIGN) < -70
    assert outcome.facts.get("stolen", 0) == 0


def test_s1_an_address_that_must_be_learned_is_learned_from_the_right_packets(
    hostile: Outcomes,
) -> None:
    assert level(untouched(hostile["behind-nat"]), FOREIGN) < -70


def test_s2_nothing_that_is_played_goes_to_a_stranger(
    hostile: Outcomes, speech_files: tuple[Path, ...]
) -> None:
    outcome = hostile["bleed"]
    assert outcome.facts["rounds"] >= 5
    assert outcome.facts["stolen"] == 0
    _, clip = passage(choose(speech_files, 2.0, 6.0), 10.0)
    placement = place(clip, outcome.heard)
    assert placement.exact, placement
    assert outcome.facts["longest gap"] < 0.5


def test_s5_bad_rtcp_and_a_foreign_goodbye_end_nothing(hostile: Outcomes) -> None:
    untouched(hostile["rtcp-abuse"])


@pytest.mark.parametrize("name", ["negative", "twice", "huge"])
def test_s10_a_length_that_lies_ends_its_connection(hostile: Outcomes, name: str) -> None:
    facts = hostile["tcp-framing"].facts
    assert facts[f"{name} closed"] < 1
    assert facts[f"{name} status"] in {400, 413, 0}


def test_s10_five_hundred_slow_senders_are_closed_and_delay_nobody(hostile: Outcomes) -> None:
    facts = hostile["slow-senders"].facts
    assert facts["slowest call"] < 1
    assert facts["latest close"] <= 32.5
    assert facts["seconds"] < 45


def test_a_call_beside_all_attacks_is_recorded_whole(hostile: Outcomes) -> None:
    untouched(hostile["bystander"])


NAMES = {
    "percent": '"x%0d%0aX-Evil: 1" ',
    "separator": '"line\u2028next\u2029\u0085" ',
    "junk": '"\udcff\udcfe\udc80" ',
    "quotes": '"{\\"state\\": \\"finished\\"}" ',
}
CALL_IDS = {
    "parents": "../../../../etc/x",
    "escaped": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "windows": "C:\\Windows\\..\\con",
    "long": "a" * 300 + "/../b",
}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[Stage]:
    url = receiver.url("/record/${call.sip_data.sip_from_user}")
    record = {"record": {"status_url": url}}
    route = receiver.url("/script")
    server = Server(
        tmp_path_factory.mktemp("names"),
        {"mailbox": [record]},
    )
    receiver.pages["/script"] = (
        "application/json",
        b'{"version": "1.0.0", "sections": {"main": [{"hangup": {"reason": "busy"}}]}}',
    )
    server.add_route("asked", route)
    server.start()
    yield Stage(server, receiver, tuple(choose(speech_files, 2.0, 2.2)))
    server.stop()


async def leave_message(
    stage: Stage, name: str, *, from_: str | None = None, call_id: str | None = None
) -> tuple[SipMessage, Outcome]:
    """Call with odd names and leave a message; return the answer to the INVITE too."""
    payload, sent = utterance(stage.speech[0])
    async with Phone.open(stage.server.sip, user=name) as phone:
        phone.from_ = from_ or phone.from_
        phone.call_id = call_id or phone.call_id
        answer = await phone.invite("mailbox", fields=['X-Note: "\u2028 %0d%0aX-Evil: 1"'])
        assert answer.status == 200
        await phone.say(Talker().say(payload))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        return answer, await stage.outcome(name, phone, sent)


def outside(server: Server) -> set[Path]:
    """Return every file that is near a server but not in its data folder."""
    root = server.folder.parent
    return {p for p in root.rglob("*") if p.is_file() and server.data not in p.parents}


async def test_s12_s13_odd_names_reach_neither_wire_nor_callback_nor_file_system(
    stage: Stage,
) -> None:
    before = outside(stage.server)
    made = [
        leave_message(stage, name, from_=f"{shown}<sip:{name}@127.0.0.1>")
        for name, shown in NAMES.items()
    ]
    made += [leave_message(stage, name, call_id=id) for name, id in CALL_IDS.items()]
    for answer, outcome in await asyncio.gather(*made):
        assert not [name for name, _ in answer.fields if "evil" in name]
        assert place(outcome.sent, outcome.recorded).exact
        for callback in outcome.callbacks:
            assert callback.event["params"]["record"]  # JSON in UTF-8, in the right shape
            assert "x-evil" not in callback.headers
    assert {p.name for p in outside(stage.server) - before} <= {"server.log"}
    wavs = [path for path in stage.server.files() if path.suffix == ".wav"]
    assert len(wavs) == len(NAMES) + len(CALL_IDS)
    for path in stage.server.files():
        assert FILE_NAME.fullmatch(path.name)
    assert stage.server.lines()  # one JSON object a line


async def test_s12_odd_names_reach_a_web_application_as_data(stage: Stage) -> None:
    for name, shown in NAMES.items():
        async with Phone.open(stage.server.sip, user=name) as phone:
            phone.from_ = f"{shown}<sip:{name}@127.0.0.1>"
            answer = await phone.invite("asked", fields=["X-Note: a%0d%0aX-Evil: 1"])
            assert answer.status == 486
    requests = stage.receiver.at("/script")
    assert len(requests) == len(NAMES)
    for request in requests:
        assert request.event["call"]["direction"] == "inbound"
        assert "x-evil" not in request.headers


@pytest.mark.parametrize("field", ["From", "Call-ID", "X-Note"])
async def test_s12_a_raw_null_or_bare_line_end_makes_no_call(stage: Stage, field: str) -> None:
    values = {
        "From": '"a\x00b" <sip:nobody@127.0.0.1>;tag=1',
        "Call-ID": "a\x00b@127.0.0.1",
        "X-Note": "a\rX-Evil: 1",
    }
    async with Phone.open(stage.server.sip, user="nobody") as phone:
        phone.number = 1
        request = phone.compose(
            "INVITE",
            uri=f"sip:mailbox@127.0.0.1:{stage.server.sip_port}",
            body=phone.offer(),
            fields=[f"{field}: {values[field]}"],
        )
        await phone.send(request)
        await asyncio.sleep(0.3)
        for answer in phone.everything:
            assert not answer.startswith(b"SIP/2.0 2")
            assert b"\nX-Evil" not in answer
    assert not stage.receiver.at("/record/nobody")


@pytest.mark.parametrize(
    "path",
    [
        f"/v1beta1/projects/{PROJECT}/calls/-/recordings/..%2f..%2fetc%2fpasswd",
        f"/v1beta1/projects/{PROJECT}/calls/-/recordings/../../../etc/passwd",
        "/api/v1/recordings/..%2f..%2f..%2fetc%2fpasswd/download",
        "/api/v1/recordings/%2e%2e%2f%2e%2e%2fmediaserver.sqlite3/download",
        "/api/v1/recordings/../../../../etc/passwd/download",
        "/api/v1/recordings/%00/download",
    ],
)
def test_s13_no_path_leads_out_of_the_recordings(stage: Stage, path: str) -> None:
    answer = stage.server.get(path)
    assert answer.status in {400, 404}
    assert b"root:" not in answer.body
    assert answer.json["error"]["code"] == answer.status
