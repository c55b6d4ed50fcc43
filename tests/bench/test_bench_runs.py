"""The runs themselves, as small as they can be, with the real engine and real processes."""

from __future__ import annotations

import pytest

from scripts.bench.compiled import compiler
from scripts.bench.figures import Figure
from scripts.bench.options import Options, parse
from scripts.bench.runs.bridged import run_bridged
from scripts.bench.runs.legs import run_play, run_relay
from scripts.bench.runs.yardstick import run_yardstick
from scripts.bench.speech import load_voice

VOICE = load_voice()
PORTS = [
    "--rtp-first", "12500", "--stream-first", "13400", "--sip-port", "12070",
    "--caller-port", "12071", "--callee-port", "12072", "--http-port", "12073",
    "--callback-port", "12074", "--setup-rate", "40",
]  # fmt: skip


@pytest.fixture
def options() -> Options:
    return parse(["--play", "3", "--relay", "2", "--seconds", "2", *PORTS])


def faults(figure: Figure) -> list[str]:
    """Return what is wrong beside lateness, which is the machine's affair."""
    return [problem for problem in figure.problems if "late" not in problem]


def test_every_journal_of_legs_that_are_played_to_is_right(options: Options) -> None:
    figure = run_play(3, options, VOICE, lambda text: None)
    assert faults(figure) == []
    assert figure.recorded is not None
    assert (figure.recorded.files_right, figure.recorded.samples_missing) == (3, 0)


def test_every_journal_of_relayed_legs_is_right_and_the_delay_is_known(options: Options) -> None:
    figure = run_relay(2, options, VOICE, lambda text: None)
    assert faults(figure) == []
    assert figure.recorded is not None
    assert figure.recorded.files_right == 4
    assert figure.relayed is not None
    assert figure.relayed.packets > 0
    assert figure.relayed.p50_ms > 0


def test_bridged_calls_are_right_on_every_side(options: Options) -> None:
    figure = run_bridged(2, options, VOICE, lambda text: None)
    assert faults(figure) == []
    assert figure.recorded is not None
    assert (figure.recorded.files_right, figure.recorded.samples_missing) == (2, 0)
    assert figure.recorded.callbacks["connected"] == 2
    assert figure.relayed is not None
    assert figure.relayed.packets > 2 * 2 * 50
    assert figure.bridged is not None


def test_the_floor_gets_every_packet(options: Options) -> None:
    figure = run_yardstick("floor", 40, options)
    assert faults(figure) == []
    assert figure.dropped == 0


@pytest.mark.skipif(not compiler(), reason="there is no C compiler")
@pytest.mark.parametrize(("load", "calls"), [("record", 4), ("play", 4), ("relay", 2)])
def test_the_compiled_yardstick_bears_every_load(options: Options, load: str, calls: int) -> None:
    figure = run_yardstick("compiled", calls, options, load)
    assert faults(figure) == []
    assert figure.ms_per_call_second > 0
