"""Digits to send, each packet at its time."""

from __future__ import annotations

import pytest

from mediaserver.rtp.dialer import DIGIT_GAP, Dialer
from mediaserver.rtp.dtmf import DigitDetector


@pytest.fixture
def dialer() -> Dialer:
    return Dialer(lambda at: round(at * 8000))


def test_digits_are_heard_by_our_own_detector(dialer: Dialer) -> None:
    over = dialer.dial("12w#", 101, 8000, 1.0)
    detector = DigitDetector()
    heard = ""
    for tick in range(int((over - 1.0) / 0.02) + 10):
        for tone in dialer.due(1.0 + tick * 0.02):
            down = detector.receive(tone.timestamp, tone.event.payload)
            heard += down.digit if down else ""
    assert heard == "12#"
    assert not dialer.busy


def test_a_digit_dialled_later_waits_for_those_before_it(dialer: Dialer) -> None:
    over = dialer.dial("1", 101, 8000, 0.0)
    dialer.dial("2", 101, 8000, 0.0)
    tones = dialer.due(10.0)
    second = next(tone.at for tone in tones if tone.event.payload[0] == 2)
    assert second >= over - DIGIT_GAP
    assert [tone.at for tone in tones] == sorted(tone.at for tone in tones)


def test_a_digit_nobody_knows_is_refused(dialer: Dialer) -> None:
    with pytest.raises(ValueError, match="substring not found"):
        dialer.dial("x", 101, 8000, 0.0)
