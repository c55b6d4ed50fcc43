"""Keys collected beside a script, and by it: what is told of them, and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from farend.party import Party, settle
from mediaserver.calls.collecting import Collecting, CollectOrder
from mediaserver.calls.collection import DigitRules
from mediaserver.calls.ending import CallOver
from mediaserver.calls.prompting import run_prompt
from mediaserver.errors import ConflictError
from mediaserver.swml.actions import Prompt, WebAudio

URL = "http://app/keys"
QUESTION, NONE = WebAudio("http://a/question"), WebAudio("http://a/none")
PROMPT = Prompt(
    sources=(QUESTION,),
    volume=0.0,
    max_digits=4,
    terminators="#",
    digit_timeout=0.02,
    initial_timeout=0.02,
    status_url=URL,
    say_voice=None,
    say_language=None,
    say_gender=None,
)


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def time(self) -> float:
        return 1_700_000_000.0


@pytest.fixture
async def party() -> Party:
    party = Party()
    party.services.clock = LoopClock()
    party.shelf.put(QUESTION, np.ones(1600, np.int16))
    return party


def collect(party: Party, *, rules: dict[str, Any] | None = None, **order: Any) -> Collecting:
    given: dict[str, Any] = {"max_digits": 2, "terminators": "#", **(rules or {})}
    collecting = Collecting(
        party.call, CollectOrder(control_id="k", rules=DigitRules(**given), status_url=URL, **order)
    )
    party.spawn(collecting.run())
    return collecting


def digits(text: str, terminator: str = "") -> dict[str, Any]:
    return {"type": "digit", "params": {"digits": text, "terminator": terminator}}


async def told(party: Party, *names: str) -> list[Any]:
    """Return the results that were told, with what else there is of `names`."""
    await settle()
    params = [event["params"] for event in party.said]
    known = {"call_id", "node_id", "control_id", "result", *names}
    assert all(set(told) <= known for told in params)
    if not names:
        return [told["result"] for told in params]
    return [(told["result"], *(told.get(name) for name in names)) for told in params]


async def over(party: Party) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*party.tasks)
    assert party.collecting is None
    assert party.capture is not None
    assert not party.capture.key_listeners


async def test_the_result_is_told_and_ends_it(party: Party) -> None:
    collect(party)
    party.press("1", "2", "3")
    await over(party)
    assert await told(party) == [digits("12")]
    assert party.said[0]["event_type"] == "calling.call.collect"


async def test_a_terminator_ends_it(party: Party) -> None:
    collect(party)
    party.press("7", "#")
    await over(party)
    assert await told(party) == [digits("7", "#")]


async def test_every_digit_is_told_if_that_is_wanted(party: Party) -> None:
    collect(party, rules={"max_digits": 3}, partial_results=True, send_start_of_input=True)
    party.press("1", "2", "3")
    await over(party)
    assert await told(party, "final") == [
        ({"type": "start_of_input"}, False),
        (digits("1"), False),
        (digits("12"), False),
        (digits("123"), True),
    ]


async def test_nobody_is_waited_for_until_the_timers_are_started(party: Party) -> None:
    collecting = collect(party, rules={"initial_timeout": 0.001})
    await asyncio.sleep(0.02)
    assert await told(party) == []
    collecting.start_timers()
    await over(party)
    assert await told(party) == [{"type": "no_input"}]


async def test_timers_may_start_at_once(party: Party) -> None:
    collect(party, rules={"initial_timeout": 0.001}, start_input_timers=True)
    await over(party)
    assert await told(party) == [{"type": "no_input"}]


async def test_another_digit_is_not_waited_for_for_ever(party: Party) -> None:
    collect(party, rules={"digit_timeout": 0.001})
    party.press("4")
    await over(party)
    assert await told(party) == [digits("4")]


async def test_a_continuous_one_begins_again_and_loses_no_key(party: Party) -> None:
    collecting = collect(party, rules={"max_digits": 1}, continuous=True)
    party.press("1", "2", "3")
    await settle()
    collecting.stop()
    await over(party)
    assert await told(party, "state") == [
        (digits("1"), "collecting"),
        (digits("2"), "collecting"),
        (digits("3"), "collecting"),
        ({"type": "finished"}, "finished"),
    ]


async def test_a_continuous_one_tells_once_that_nobody_is_there(party: Party) -> None:
    rules = {"initial_timeout": 0.001, "max_digits": 1}
    collecting = collect(party, rules=rules, continuous=True, start_input_timers=True)
    await asyncio.sleep(0.02)
    assert await told(party, "state") == [({"type": "no_input"}, "collecting")]
    party.press("5")
    await asyncio.sleep(0.02)
    assert [result["type"] for result, _ in await told(party, "state")] == [
        "no_input",
        "digit",
        "no_input",
    ]
    collecting.stop()
    await over(party)


async def test_a_command_ends_it(party: Party) -> None:
    collecting = collect(party)
    party.press("1")
    collecting.stop()
    collecting.stop()
    await over(party)
    assert await told(party) == [{"type": "finished"}]


async def test_the_end_of_the_call_ends_it(party: Party) -> None:
    collect(party)
    party.press("1")
    await party.hang_up()
    await over(party)
    assert await told(party) == [{"type": "finished"}]


async def test_one_is_made_at_a_time(party: Party) -> None:
    collecting = collect(party)
    with pytest.raises(ConflictError, match="control_id"):
        collect(party)
    collecting.stop()
    collect(party).stop()
    await over(party)


# The script's own.


async def prompt(party: Party, **changes: Any) -> dict[str, Any]:
    given = replace(PROMPT, **changes)
    return await run_prompt(party.call, given, given.sources)


async def test_a_key_ends_what_is_played_and_counts(party: Party) -> None:
    asking = party.spawn(prompt(party))
    await party.leg.send(160)
    party.press("1")
    await settle()
    assert party.leg.playing is None
    party.press("2", "#")
    async with asyncio.timeout(5):
        assert await asking == {
            "prompt_result": "match_digits",
            "prompt_value": "12",
            "prompt_digit_terminator": "#",
        }
    assert await told(party) == [digits("12", "#")]


async def test_the_time_for_the_first_key_runs_from_the_end_of_what_is_played(party: Party) -> None:
    asking = party.spawn(prompt(party))
    await party.leg.send(1500)
    await asyncio.sleep(0.05)
    assert not asking.done()
    await party.leg.send(100)
    async with asyncio.timeout(5):
        assert (await asking)["prompt_result"] == "no_input"
    assert await told(party) == [{"type": "no_input"}]


async def test_keys_before_the_prompt_are_no_part_of_it(party: Party) -> None:
    party.press("9")
    asking = party.spawn(prompt(party, max_digits=1))
    await party.leg.send(160)
    party.press("1")
    async with asyncio.timeout(5):
        assert (await asking)["prompt_value"] == "1"


async def test_a_question_that_nobody_hears_has_failed(party: Party) -> None:
    variables = await prompt(party, sources=(NONE,))
    assert variables["prompt_result"] == "failed"
    assert (variables["prompt_value"], variables["prompt_digit_terminator"]) == ("", "")
    assert await told(party) == [{"type": "error"}]


async def test_a_play_of_an_application_ends_the_question_and_not_the_prompt(party: Party) -> None:
    asking = party.spawn(prompt(party, max_digits=1, initial_timeout=5.0))
    await party.leg.send(160)
    talking = party.spawn(party.leg.play(np.ones(80, np.int16)))
    await party.leg.send(80)
    assert talking.done()
    party.press("3")
    async with asyncio.timeout(5):
        assert (await asking)["prompt_value"] == "3"


async def test_a_prompt_and_a_collect_both_hear_the_keys(party: Party) -> None:
    collect(party, rules={"max_digits": 1})
    asking = party.spawn(prompt(party, max_digits=1))
    await party.leg.send(160)
    party.press("3")
    async with asyncio.timeout(5):
        assert (await asking)["prompt_value"] == "3"
    assert await told(party) == [digits("3"), digits("3")]


async def test_the_end_of_the_call_leaves_nothing_of_a_prompt(party: Party) -> None:
    asking = party.spawn(prompt(party))
    await party.leg.send(160)
    await party.hang_up()
    assert isinstance(asking.exception(), CallOver)
    assert party.capture is not None
    assert not party.capture.key_listeners
    assert await told(party) == []
