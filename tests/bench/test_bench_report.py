"""What was found is said in full, and a run that is not complete never looks right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.bench.errors import BenchError
from scripts.bench.figures import (
    Answer,
    Bridged,
    Delay,
    Figure,
    Latency,
    Process,
    Quiet,
    Recorded,
    Results,
    SetUp,
    Shelf,
)
from scripts.bench.options import PARTS, parse
from scripts.bench.report import Setting, write_json, write_markdown
from scripts.bench.tables import tables


def figure(
    load: str,
    calls: int,
    cost: float,
    problems: list[str] | None = None,
    remarks: list[str] | None = None,
) -> Figure:
    return Figure(
        load=load,
        subject="mediaserver",
        calls=calls,
        ms_per_call_second=cost,
        core_percent=10.0,
        dropped=0,
        late_p99_ms=0.5,
        late_max_ms=1.0,
        generator_percent=50.0,
        generator_us_per_packet=4.0,
        others_percent=0.0,
        problems=problems or [],
        remarks=remarks or [],
        recorded=Recorded(files=calls, files_right=calls, samples_sent=1, samples_missing=0),
        relayed=Delay(packets=9, p50_ms=11.0, p99_ms=22.5, max_ms=30.0),
    )


def test_growth_is_shown_from_a_quarter_to_the_whole() -> None:
    results = Results(
        figures=[figure("play", n, c) for n, c in ((100, 0.5), (200, 0.4), (400, 0.3))]
    )
    (growth,) = [text for text in tables(results) if text.title.startswith("Growth")]
    assert growth.rows == (("play", "400", "0.500", "0.400", "0.300"),)


def test_a_load_that_was_not_carried_is_marked_and_no_capacity() -> None:
    results = Results(figures=[figure("relay", 400, 0.6), figure("relay", 800, 0.6, ["lost"])])
    (relay,) = tables(results)
    assert [row[-1] for row in relay.rows] == ["right", "FAILED"]
    assert results.most("relay") == 400
    assert results.problems() == ["lost"]


def test_of_bridged_calls_cost_delay_and_alignment_are_shown() -> None:
    floor, ours = figure("bridged", 100, 0.2), figure("bridged", 100, 0.8)
    floor.subject, ours.ratio_to_floor = "floor", 4.0
    ours.bridged = Bridged(
        apart_p50_ms=0.1, apart_least_ms=-0.2, apart_most_ms=12.0, heard_p99_ms=30.0
    )
    ours.answer = Answer(calls=100, p50_ms=9.0, p99_ms=21.0)
    (table,) = tables(Results(figures=[floor, ours]))
    assert table.columns[:8] == (
        "calls", "floor", "server", "x", "answer", "delay p50", "delay p99", "apart",
    )  # fmt: skip
    assert table.rows[0][:8] == (
        "100", "0.200", "0.800", "4.0", "21", "11.0", "22.5", "-0.2 to 12.0",
    )  # fmt: skip


def test_short_calls_that_are_connected_on_have_a_table_of_their_own() -> None:
    steps = [
        SetUp(bridged=bridged, standing=50, rate=25, answer=Answer(calls=1, p50_ms=1, p99_ms=2),
              cpu_ms=12.0, media_ms=3.0, render_ms=1.0, retransmitted=0, core_percent=30.0,
              late_p99_ms=0.1)
        for bridged in (True, False)
    ]  # fmt: skip
    titles = [text.title for text in tables(Results(set_ups=steps))]
    assert [title.split(" beside")[0] for title in titles] == ["Short calls", "Short bridged calls"]


def test_a_yardstick_that_cannot_keep_up_fails_nothing() -> None:
    slow = figure("record", 400, 1.0, ["dropped"])
    slow.subject = "asyncio"
    results = Results(figures=[slow, figure("record", 400, 0.2)])
    assert results.problems() == []
    assert tables(results)[0].rows[0][1] == "1.000 *"


def test_markdown_and_json_hold_everything(tmp_path: Path) -> None:
    results = Results(
        figures=[figure("relay", 400, 0.654, remarks=["others used 9 %"])],
        quiet=Quiet(
            fresh_seconds=[1.5],
            again_seconds=[1.25],
            processes=[Process(name="server", rss_mib=90.0, pss_mib=80.0, cpu_percent=0.25)],
        ),
        shelf=Shelf(
            recordings=100_000,
            start_seconds=1.0,
            latencies=[Latency(request="get", count=10, p50_ms=2.0, p99_ms=17.5)],
        ),
    )
    setting = Setting("a machine", "a voice", parse(["--relay", "400"]))
    write_markdown(tmp_path / "m.md", setting, results)
    write_json(tmp_path / "r.json", setting, results)
    text = (tmp_path / "m.md").read_text()
    for cell in ("a machine", "0.654", "22.5", "80.0", "0.25", "100,000", "17.5", "9 %"):
        assert cell in text
    kept = json.loads((tmp_path / "r.json").read_text())
    assert kept["complete"]
    assert kept["machine"] == "a machine"
    assert kept["figures"][0]["relayed"]["p99_ms"] == 22.5


def test_naming_a_load_runs_that_part_alone() -> None:
    assert parse(["--relay", "10,20"]).parts == ("relay",)
    assert parse(["--full"]).parts == PARTS
    assert parse(["--only", "shelf,quiet"]).parts == ("quiet", "shelf")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "everything"], "no part"),
        (["--record", "many"], "numbers"),
        (["--record", "0"], "at least one"),
        (["--only", "churn"], "--capacity"),
        (["--rtp-first", "29000"], "overlap"),
        (["--sip-port", "30001"], "among the media ports"),
        (["--callee-port", "30001"], "among the media ports"),
        (["--seconds", "1"], "2 or more"),
    ],
)
def test_what_cannot_be_done_is_said_before_it_is_tried(arguments: list[str], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        parse(arguments)
