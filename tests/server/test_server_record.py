"""What `record` promises, seen from outside: a caller, the callbacks, the file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.scene import Call, Outcome, Outcomes, Stage, play_all
from farend.server import Server
from farend.speech import choose, encode, event, key_payloads, passage, utterance
from farend.talker import Talker, Timed
from farend.waveform import Samples, around, dual, is_quiet, level, place

POUND, FIVE = 11, 5
FRAME = 160


SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "terminator": [{"terminators": "#"}],
    "leaking-tone": [{"terminators": "#"}],
    "other-key": [{"terminators": "#", "initial_timeout": 0}],
    "one-key-one-end": [{"terminators": "#"}, {"terminators": "#", "initial_timeout": 0}],
    "wide-clock": [{"terminators": "#"}, {"terminators": "#", "initial_timeout": 0}],
    "initial-timeout": [{"initial_timeout": 1.0}],
    "initial-timeout-no-packets": [{"initial_timeout": 1.0}],
    "end-silence": [{"end_silence_timeout": 1.0}],
    "end-silence-no-packets": [{"end_silence_timeout": 1.0}],
    "max-length": [{"max_length": 1.0, "initial_timeout": 0, "end_silence_timeout": 0}],
    "max-length-no-packets": [{"max_length": 1.0, "initial_timeout": 0, "end_silence_timeout": 0}],
    "hang-up": [{}],
    "hang-up-at-once": [{}],
    "beep": [{"beep": True}],
    "stereo": [{"stereo": True}],
    "tcp-pcma": [{}],
    "delayed-offer": [{}],
    "hold": [{"initial_timeout": 0, "end_silence_timeout": 0}],
}


async def _speak(stage: Stage, name: str, *, law: str = "PCMU", transport: str = "udp") -> Outcome:
    """Say something and hang up with the last packet."""
    payload, sent = utterance(stage.speech[0], law)
    async with Phone.open(stage.server.sip, law=law, transport=transport) as phone:
        await phone.call(name)
        await phone.say(Talker().say(payload, 8 if law == "PCMA" else 0))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        return await stage.outcome(name, phone, sent)


async def hang_up(stage: Stage) -> Outcome:
    return await _speak(stage, "hang-up")


async def stereo(stage: Stage) -> Outcome:
    return await _speak(stage, "stereo")


async def tcp_pcma(stage: Stage) -> Outcome:
    return await _speak(stage, "tcp-pcma", law="PCMA", transport="tcp")


async def hang_up_at_once(stage: Stage) -> Outcome:
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("hang-up-at-once")
        path = "/record/hang-up-at-once"
        await stage.receiver.until(lambda: bool(stage.receiver.accepted(path)))
        await phone.hang_up()
        return await stage.outcome("hang-up-at-once", phone, np.zeros(0, np.int16))


async def delayed_offer(stage: Stage) -> Outcome:
    payload, sent = utterance(stage.speech[0])
    async with Phone.open(stage.server.sip) as phone:
        answer = await phone.invite("delayed-offer", body=b"")
        assert answer.status == 200
        await phone.say(Talker().say(payload))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        return await stage.outcome("delayed-offer", phone, sent)


async def terminator(stage: Stage) -> Outcome:
    payload, sent = utterance(stage.speech[0])
    talker = Talker()
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("terminator")
        await phone.say([*talker.say(payload), *talker.press(key_payloads(POUND))])
        await phone.until_ended()
        return await stage.outcome("terminator", phone, sent)


async def leaking_tone(stage: Stage) -> Outcome:
    """A gateway that sends the tone as audio as well, beside the events."""
    payload, sent = utterance(stage.speech[0])
    talker = Talker()
    packets = talker.say(payload)
    tone = encode("PCMU", dual(941, 1477, 0.2))
    began = talker.timestamp
    for number in range(len(tone) // FRAME):
        at = talker.timestamp
        talker.timestamp = began
        update = event(POUND, FRAME * (number + 1))
        packets += [Timed(t.arrival, t.packet) for t in talker.press([update], lasting=0)]
        talker.timestamp = at
        packets += talker.say(tone[number * FRAME : (number + 1) * FRAME])
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("leaking-tone")
        await phone.say(packets)
        await phone.until_ended()
        return await stage.outcome("leaking-tone", phone, sent)


async def other_key(stage: Stage) -> Outcome:
    """The key takes 100 ms in which no audio is sent."""
    (first, a), (second, b) = (utterance(path) for path in stage.speech[:2])
    talker = Talker()
    packets = [*talker.say(first), *talker.press(key_payloads(FIVE)), *talker.say(second)]
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("other-key")
        await phone.say(packets)
        await asyncio.sleep(0.02)
        await phone.hang_up()
        sent = np.concatenate([a, np.zeros(800, np.int16), b])
        return await stage.outcome("other-key", phone, sent)


async def _one_key(stage: Stage, name: str, rate: int) -> Outcome:
    """A key whose packets come disordered, with its end lost, then again late and many times."""
    first, _ = utterance(stage.speech[0])
    second, sent = utterance(stage.speech[1])
    talker = Talker()
    packets = talker.say(first)
    step = rate // 50
    pieces = talker.press(key_payloads(POUND, step=step, ends=1)[:-1], lasting=0.1)
    pieces[1], pieces[2] = (
        Timed(pieces[2].arrival, pieces[1].packet),
        Timed(pieces[1].arrival, pieces[2].packet),
    )
    packets += pieces
    at = talker.timestamp
    talker.timestamp -= 800
    late = talker.press([event(POUND, step * 5, end=True)] * 6, lasting=0.0)
    talker.timestamp = at

    def ours(packets: list[Timed]) -> list[Timed]:
        return [Timed(t.arrival, _with_kind(t.packet, 101, 97)) for t in packets]

    async with Phone.open(stage.server.sip) as phone:
        phone.events = (97, rate)
        await phone.call(name)
        left = await phone.say(ours(packets))
        states = stage.receiver.accepted
        await stage.receiver.until(
            lambda: [c.state for c in states(f"/record/{name}")].count("recording") == 2
        )
        # The late copies arrive when the second recording runs.
        await phone.say(ours(late))
        talker.pause(round(time.monotonic() - left, 2))
        await phone.say(talker.say(second))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        return await stage.outcome(name, phone, sent, count=2)


def _with_kind(packet: bytes, old: int, new: int) -> bytes:
    kind = packet[1] & 0x7F
    return bytes([packet[0], packet[1] & 0x80 | (new if kind == old else kind)]) + packet[2:]


async def one_key_one_end(stage: Stage) -> Outcome:
    return await _one_key(stage, "one-key-one-end", 8000)


async def wide_clock(stage: Stage) -> Outcome:
    return await _one_key(stage, "wide-clock", 48000)


async def _until_server_ends(stage: Stage, name: str, payload: bytes, sent: Samples) -> Outcome:
    async with Phone.open(stage.server.sip) as phone:
        await phone.call(name)
        talking = asyncio.create_task(phone.say(Talker().say(payload)))
        await phone.until_ended()
        talking.cancel()
        return await stage.outcome(name, phone, sent)


async def initial_timeout(stage: Stage) -> Outcome:
    silence = encode("PCMU", np.zeros(3 * 8000, np.int16))
    return await _until_server_ends(stage, "initial-timeout", silence, np.zeros(0, np.int16))


async def initial_timeout_no_packets(stage: Stage) -> Outcome:
    name = "initial-timeout-no-packets"
    return await _until_server_ends(stage, name, b"", np.zeros(0, np.int16))


async def max_length_no_packets(stage: Stage) -> Outcome:
    name = "max-length-no-packets"
    return await _until_server_ends(stage, name, b"", np.zeros(0, np.int16))


async def max_length(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, 2.0)
    return await _until_server_ends(stage, "max-length", payload, sent)


async def end_silence(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, 1.6)
    silence = encode("PCMU", np.zeros(2 * 8000, np.int16))
    return await _until_server_ends(stage, "end-silence", payload + silence, sent)


async def end_silence_no_packets(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, 1.6)
    return await _until_server_ends(stage, "end-silence-no-packets", payload, sent)


async def beep(stage: Stage) -> Outcome:
    payload, sent = utterance(stage.speech[0])
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("beep")
        path = "/record/beep"
        await stage.receiver.until(lambda: bool(stage.receiver.accepted(path)))
        await phone.say(Talker().say(payload))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        return await stage.outcome("beep", phone, sent)


async def hold(stage: Stage) -> Outcome:
    """Hold for a second, then go on: the timestamps go on with time."""
    (first, a), (second, b) = (utterance(path) for path in stage.speech[:2])
    talker = Talker()
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("hold")
        left = await phone.say(talker.say(first))
        answer = await phone.invite("hold", body=phone.offer("sendonly", 2))
        assert answer.status == 200
        assert b"a=recvonly" in answer.body
        answer = await phone.invite("hold", body=phone.offer("sendrecv", 3))
        assert answer.status == 200
        await asyncio.sleep(1.02 + left - time.monotonic())
        talker.pause(1.0)
        await phone.say(talker.say(second))
        await asyncio.sleep(0.02)
        await phone.hang_up()
        sent = np.concatenate([a, np.zeros(8000, np.int16), b])
        return await stage.outcome("hold", phone, sent)


async def play_back(stage: Stage) -> Outcome:
    payload, sent = utterance(stage.speech[0])
    talker = Talker()
    async with Phone.open(stage.server.sip) as phone:
        await phone.call("play-back")
        await phone.say([*talker.say(payload), *talker.press(key_payloads(POUND))])
        await phone.until_ended()
        return await stage.outcome("play-back", phone, sent)


FILES_MADE = 3.3
"""Seconds from the end of a recording to the BYE: its files are made meanwhile, or given up on."""

CALLS: dict[str, Call] = {
    function.__name__.replace("_", "-"): function
    for function in (
        terminator, leaking_tone, other_key, one_key_one_end, wide_clock, initial_timeout,
        initial_timeout_no_packets, max_length, max_length_no_packets, end_silence,
        end_silence_no_packets, hang_up, hang_up_at_once, beep, stereo, tcp_pcma, delayed_offer,
        hold, play_back,
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[Outcomes]:
    speech = tuple(choose(speech_files, 2.0, 2.4))
    scripts: dict[str, list[object]] = {}
    for name, steps in SCRIPTS.items():
        url = receiver.url(f"/record/{name}")
        records = [{"record": {"status_url": url, **step}} for step in steps]
        scripts[name] = [{"answer": {}}, *records, {"hangup": {}}]
    scripts["play-back"] = [
        {"record": {"status_url": receiver.url("/record/play-back"), "terminators": "#"}},
        {"play": {"url": "${record_url}"}},
        {
            "record": {
                "status_url": receiver.url("/result/${record_result}"),
                "max_length": 0.2,
            }
        },
        {"hangup": {}},
    ]
    with Server(tmp_path_factory.mktemp("record"), scripts) as server:
        yield asyncio.run(play_all(CALLS, Stage(server, receiver, speech)))


def whole(outcome: Outcome) -> Samples:
    """Check that all that was said is in the recording, in one piece; return what is around it."""
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    return around(placement, outcome.sent, outcome.recorded)


def test_a_terminator_ends_the_recording_where_its_tone_begins(outcomes: Outcomes) -> None:
    outcome = outcomes["terminator"]
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    assert outcome.recorded.size == placement.offset + outcome.sent.size
    assert outcome.states == ["recording", "finished"]


def test_a_terminators_tone_that_leaks_into_the_audio_is_not_in_the_file(
    outcomes: Outcomes,
) -> None:
    outcome = outcomes["leaking-tone"]
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    assert outcome.recorded.size == placement.offset + outcome.sent.size


def test_a_key_that_is_no_terminator_ends_nothing_and_shifts_nothing(outcomes: Outcomes) -> None:
    assert is_quiet(whole(outcomes["other-key"]))


@pytest.mark.parametrize("name", ["one-key-one-end", "wide-clock"])
def test_a_key_in_disorder_with_late_repeated_ends_ends_one_recording(
    outcomes: Outcomes, name: str
) -> None:
    outcome = outcomes[name]
    assert outcome.states == ["recording", "finished"] * 2
    assert len(outcome.recordings) == 2
    placement = place(outcome.sent, outcome.recordings[1])
    assert placement.exact, placement


@pytest.mark.parametrize("name", ["initial-timeout", "initial-timeout-no-packets"])
def test_nobody_speaks_within_the_initial_timeout_and_it_is_no_input(
    outcomes: Outcomes, name: str
) -> None:
    outcome = outcomes[name]
    assert outcome.states == ["recording", "no_input"]
    assert outcome.recorded.size == 8000
    assert is_quiet(outcome.recorded)
    assert -0.3 < outcome.ended_at - outcome.answered_at - 1.0 < FILES_MADE


@pytest.mark.parametrize("name", ["end-silence", "end-silence-no-packets"])
def test_the_silence_behind_the_last_word_is_what_the_timeout_says(
    outcomes: Outcomes, name: str
) -> None:
    outcome = outcomes[name]
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    silence = outcome.recorded.size - placement.offset - outcome.sent.size
    # The end of speech is found on a grid of 20 ms.
    assert abs(silence - 8000) <= 2 * FRAME
    assert outcome.states == ["recording", "finished"]
    spoken = (placement.offset + outcome.sent.size) / 8000
    assert -0.3 < outcome.ended_at - outcome.answered_at - spoken - 1.0 < FILES_MADE


@pytest.mark.parametrize("name", ["max-length", "max-length-no-packets"])
def test_max_length_is_kept_to_the_sample(outcomes: Outcomes, name: str) -> None:
    outcome = outcomes[name]
    assert outcome.recorded.size == 8000
    assert outcome.states[0] == "recording"
    if outcome.sent.size:
        assert outcome.states[-1] == "finished"
        offset = place(outcome.sent[:4000], outcome.recorded).offset
        assert offset >= 0
        assert np.array_equal(outcome.recorded[offset:], outcome.sent[: 8000 - offset])
    else:
        assert outcome.states[-1] == "no_input"


def test_a_caller_who_hangs_up_leaves_a_finished_recording_of_all_he_said(
    outcomes: Outcomes,
) -> None:
    outcome = outcomes["hang-up"]
    assert is_quiet(whole(outcome))
    assert outcome.states == ["recording", "finished"]
    assert outcome.callbacks[-1].params["duration"] == outcome.recorded.size // 8000


def test_a_call_that_ends_at_once_still_ends_its_recording(outcomes: Outcomes) -> None:
    outcome = outcomes["hang-up-at-once"]
    assert outcome.states == ["recording", "no_input"]
    assert outcome.recorded.size < 4000


def test_the_caller_hears_the_beep_and_the_file_does_not(outcomes: Outcomes) -> None:
    outcome = outcomes["beep"]
    loud = np.flatnonzero(np.abs(outcome.heard.astype(np.int32)) > 500)
    assert loud.size > 0.08 * 8000
    assert is_quiet(whole(outcome))


def test_in_stereo_the_caller_is_left_and_what_he_hears_right(outcomes: Outcomes) -> None:
    outcome = outcomes["stereo"]
    assert outcome.recorded.ndim == 2
    assert outcome.recorded.shape[1] == 2
    assert place(outcome.sent, outcome.recorded[:, 0]).exact
    assert not outcome.recorded[:, 1].any()
    assert outcome.callbacks[-1].params["record"]["audio"]["stereo"] is True


@pytest.mark.parametrize("name", ["tcp-pcma", "delayed-offer"])
def test_every_kind_of_call_is_recorded_to_the_sample(outcomes: Outcomes, name: str) -> None:
    assert is_quiet(whole(outcomes[name]))


def test_a_hold_is_silence_of_the_right_length(outcomes: Outcomes) -> None:
    assert is_quiet(whole(outcomes["hold"]))


def test_record_url_can_be_played_to_the_caller_and_record_result_used(
    outcomes: Outcomes, receiver: Receiver
) -> None:
    outcome = outcomes["play-back"]
    placement = place(outcome.sent, outcome.heard)
    assert placement.exact, placement
    assert receiver.accepted("/result/success")


def test_what_was_played_back_has_no_key_in_it(outcomes: Outcomes) -> None:
    heard = outcomes["play-back"].heard
    assert max(level(heard, 941), level(heard, 1477)) < -40
