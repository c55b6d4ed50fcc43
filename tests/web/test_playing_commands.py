"""`calling.play` and `calling.collect`: from the body of a command to what is to be done."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mediaserver.calls.collecting import CollectOrder
from mediaserver.calls.collection import DigitRules
from mediaserver.calls.commands import HANDLERS
from mediaserver.calls.commands.collecting import StartCollect, StartInputTimers, StopCollect
from mediaserver.calls.commands.playing import (
    ChangeVolume,
    PausePlay,
    ResumePlay,
    StartPlay,
    StopPlay,
)
from mediaserver.calls.playback import PlayOrder
from mediaserver.recording.resource import Direction
from mediaserver.swml.actions import Ringing, Silence, Speaker, Speech, WebAudio
from mediaserver.web.commands.fault import Faulty
from mediaserver.web.commands.request import read_command

QUIET = {"type": "silence", "params": {"duration": 1}}


def order(name: str, **params: Any) -> Any:
    body = {"id": "c", "command": f"calling.{name}", "params": {"control_id": "k", **params}}
    return read_command(body).order


def faults(name: str, **params: Any) -> dict[str | None, str]:
    with pytest.raises(Faulty) as refused:
        order(name, **params)
    return {fault.attribute: fault.message for fault in refused.value.faults}


def test_a_play_has_the_defaults_of_the_contract() -> None:
    sources = [
        {"type": "audio", "params": {"url": "HTTPS://u:p@h/a.mp3"}},
        {"type": "tts", "params": {"text": "hello"}},
        {"type": "silence", "params": {"duration": 0.5}},
        {"type": "ringtone", "params": {"name": "uk"}},
        {"type": "ringtone", "params": {"name": "us", "duration": 10.0}},
    ]
    assert order("play", play=sources) == StartPlay(
        order=PlayOrder(
            sources=(
                WebAudio("https://u:p@h/a.mp3"),
                Speech("hello", Speaker("en-US", "female", None)),
                Silence(0.5),
                Ringing("uk", math.inf),
                Ringing("us", 10.0),
            ),
            volume=0.0,
            loop=1,
            direction=Direction.LISTEN,
            control_id="k",
            status_url=None,
        )
    )


def test_every_parameter_of_a_play_is_heeded() -> None:
    told = {"text": "ja", "language": "de-DE", "gender": "female", "voice": "w"}
    speech = [{"type": "tts", "params": params} for params in ({"text": "yes"}, told)]
    given = order(
        "play",
        play=speech,
        volume=-40,
        direction="both",
        loop=0,
        language="en-GB",
        voice="v",
        gender="male",
        status_url="http://app/x",
    ).order
    assert given.sources == (
        Speech("yes", Speaker("en-GB", "male", "v")),
        Speech("ja", Speaker("de-DE", "female", "w")),
    )
    assert (given.volume, given.loop, given.direction) == (-40.0, 0, Direction.BOTH)
    assert given.status_url == "http://app/x"


def test_a_play_is_commanded_by_its_control_id() -> None:
    assert order("play.pause") == PausePlay(control_id="k")
    assert order("play.resume") == ResumePlay(control_id="k")
    assert order("play.stop") == StopPlay(control_id="k")
    assert order("play.volume", volume=5) == ChangeVolume(control_id="k", volume=5.0)
    assert set(faults("play.volume", volume=40.5)) == {"volume"}
    assert set(faults("play.volume")) == {"volume"}


@pytest.mark.parametrize(
    ("item", "attribute"),
    [
        ({"type": "audio", "params": {"url": "ftp://h/a"}}, "params.url"),
        ({"type": "audio", "params": {}}, "params.url"),
        ({"type": "audio"}, "params"),
        ({"type": "audio", "params": {"url": "http://h/", "x": 1}}, "params.x"),
        ({"type": "video", "params": {}}, "type"),
        ({"params": {}}, "type"),
        ({"type": "silence", "params": {"duration": 0}}, "params.duration"),
        ({"type": "silence", "params": {"duration": 3601}}, "params.duration"),
        ({"type": "ringtone", "params": {"name": "xx"}}, "params.name"),
        ({"type": "ringtone", "params": {"name": "us", "duration": -1}}, "params.duration"),
        ({"type": "tts", "params": {"text": ""}}, "params.text"),
        ({"type": "tts", "params": {"text": "x" * 5001}}, "params.text"),
        ({"type": "tts", "params": {"text": "x", "gender": "other"}}, "params.gender"),
    ],
)
def test_a_fault_in_what_is_to_be_played_is_named_as_it_stands(item: Any, attribute: str) -> None:
    found = faults("play", play=[QUIET, item])
    assert set(found) == {f"play.1.{attribute}"}
    assert found[f"play.1.{attribute}"].startswith(f"play.1.{attribute} ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("play", []),
        ("play", [QUIET] * 257),
        ("play", QUIET),
        ("volume", 41),
        ("loop", -1),
        ("loop", 1.5),
        ("direction", "up"),
        ("gender", "x"),
        ("status_url", "app"),
        ("speed", 2),
        ("control_id", ""),
    ],
)
def test_a_fault_of_a_play_is_named(name: str, value: Any) -> None:
    assert set(faults("play", **{"play": [QUIET], name: value})) == {name}


def test_a_collect_has_the_defaults_of_the_contract() -> None:
    assert order("collect", digits={"max": 4}) == StartCollect(
        order=CollectOrder(
            control_id="k",
            rules=DigitRules(max_digits=4, terminators="", digit_timeout=5.0, initial_timeout=5.0),
            start_input_timers=False,
            partial_results=False,
            continuous=False,
            send_start_of_input=False,
            status_url=None,
        )
    )
    assert order("collect.stop") == StopCollect(control_id="k")
    assert order("collect.start_input_timers") == StartInputTimers(control_id="k")


def test_every_parameter_of_a_collect_is_heeded() -> None:
    given = order(
        "collect",
        digits={"max": 1, "terminators": "#a", "digit_timeout": 0.5},
        initial_timeout=1,
        partial_results=True,
        continuous=True,
        send_start_of_input=True,
        start_input_timers=True,
        status_url="http://app/keys",
    ).order
    assert given == CollectOrder(
        control_id="k",
        rules=DigitRules(max_digits=1, terminators="#a", digit_timeout=0.5, initial_timeout=1.0),
        start_input_timers=True,
        partial_results=True,
        continuous=True,
        send_start_of_input=True,
        status_url="http://app/keys",
    )


def test_speech_cannot_be_collected() -> None:
    found = faults("collect", digits={"max": 1}, speech={"language": "en-US"})
    assert found == {"speech": "speech cannot be collected: this server has no speech recognition"}


@pytest.mark.parametrize(
    ("params", "attribute"),
    [
        ({}, "digits"),
        ({"digits": {}}, "digits.max"),
        ({"digits": {"max": 0}}, "digits.max"),
        ({"digits": {"max": 251}}, "digits.max"),
        ({"digits": {"max": 1, "terminators": "x"}}, "digits.terminators"),
        ({"digits": {"max": 1, "digit_timeout": 0}}, "digits.digit_timeout"),
        ({"digits": {"max": 1}, "initial_timeout": 0}, "initial_timeout"),
        ({"digits": {"max": 1}, "continuous": "yes"}, "continuous"),
    ],
)
def test_a_fault_of_a_collect_is_named(params: dict[str, Any], attribute: str) -> None:
    assert set(faults("collect", **params)) == {attribute}


def test_every_order_is_carried_out_by_somebody() -> None:
    orders = {PausePlay, ResumePlay, StopPlay, ChangeVolume, StartPlay}
    assert orders | {StartCollect, StartInputTimers, StopCollect} <= set(HANDLERS)
