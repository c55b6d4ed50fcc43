"""Digits: how many, how long they may take, what ends them."""

from __future__ import annotations

import pytest

from mediaserver.calls.collection import Collected, Collection, DigitRules, Outcome

DIGITS, NO_INPUT = Outcome.DIGITS, Outcome.NO_INPUT


def collection(**rules: int | float | str) -> Collection:
    return Collection(DigitRules(**rules))  # type: ignore[arg-type]


def test_the_last_digit_wanted_ends_it() -> None:
    digits = collection(max_digits=3)
    assert digits.press("1", 0.0) is None
    assert digits.press("2", 1.0) is None
    assert digits.press("3", 2.0) == Collected(DIGITS, "123")
    assert digits.due is None
    assert digits.press("4", 3.0) == Collected(DIGITS, "123")


def test_a_terminator_ends_it_and_is_no_part_of_it() -> None:
    digits = collection(max_digits=9, terminators="#a")
    digits.press("1", 0.0)
    assert digits.press("A", 1.0) == Collected(DIGITS, "1", "A")


def test_a_terminator_alone_is_an_answer() -> None:
    assert collection(max_digits=9, terminators="#").press("#", 0.0) == Collected(DIGITS, "", "#")


def test_no_digit_in_time_is_no_input() -> None:
    digits = collection(initial_timeout=4.0)
    dues = [digits.due]  # the prompt is not over
    assert digits.expire(100.0) is None
    digits.listen(10.0)
    assert [*dues, digits.due] == [None, 14.0]
    assert digits.expire(13.9) is None  # not yet
    assert digits.expire(14.0) == Collected(NO_INPUT)


def test_no_other_digit_in_time_is_what_there_is() -> None:
    digits = collection(max_digits=4, digit_timeout=2.0)
    digits.press("7", 1.0)
    digits.press("8", 2.5)
    assert digits.due == 4.5
    assert digits.expire(4.4) is None
    assert digits.expire(4.5) == Collected(DIGITS, "78")


def test_a_digit_in_the_prompt_begins_the_time_of_the_next() -> None:
    digits = collection(max_digits=2, initial_timeout=1.0, digit_timeout=5.0)
    digits.press("1", 0.0)
    digits.listen(0.1)
    assert digits.due == 5.0


@pytest.mark.parametrize("key", ["a", "A"])
def test_letters_are_capitals(key: str) -> None:
    assert collection().press(key, 0.0) == Collected(DIGITS, "A")
