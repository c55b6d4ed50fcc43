"""The results as tables of text: what both the terminal and the documentation show."""

from __future__ import annotations

from dataclasses import dataclass

from .figures import Answer, Ending, Figure, Overload, Quiet, Results, SetUp, Shelf

UNITS = {
    "record": "calls",
    "stereo": "calls",
    "play": "calls",
    "relay": "pairs",
    "bridged": "calls",
}

TITLES = {
    "record": "One-way recordings: CPU ms per call and second",
    "stereo": "Recorded in stereo while a prompt plays, by SIP: CPU ms per call and second",
    "play": "A prompt to the caller while he is recorded: CPU ms per call and second",
    "relay": "Pairs of legs relayed and recorded: CPU ms per pair and second",
    "bridged": "Bridged calls recorded in stereo, by SIP: CPU ms per call and second",
}


WITH_SIP = {"record", "bridged"}
RELAYED = {"relay", "bridged"}

YARDSTICKS_OF = {
    "record": ("floor", "asyncio", "compiled"),
    "stereo": ("floor", "compiled"),
    "play": ("floor", "compiled"),
    "relay": ("floor", "compiled"),
    "bridged": ("floor", "compiled"),
}
"""What is measured under the same packets."""


@dataclass(frozen=True, slots=True)
class Text:
    """A table: a title, the names of its columns, and rows of cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(results: Results) -> list[Text]:
    """Return a table for everything that was measured."""
    found = [_loads(results, load) for load in TITLES if results.of(load)]
    growth = _growth(results)
    if growth.rows:
        found.append(growth)
    for bridged in (False, True):
        steps = [step for step in results.set_ups if step.bridged is bridged]
        if steps:
            found.append(_set_ups(steps))
    if results.overloads:
        found.append(_overloads(results.overloads))
    if results.ending is not None:
        found.append(_ending(results.ending))
    if results.quiet is not None:
        found += _quiet(results.quiet)
    if results.shelf is not None:
        found.append(_shelf(results.shelf))
    return found


def _loads(results: Results, load: str) -> Text:
    figures = results.of(load)
    kinds = [
        k
        for k in YARDSTICKS_OF[load]
        if any((f.load, f.subject) == (load, k) for f in results.figures)
    ]
    columns = (UNITS[load], *kinds, "server", "x")
    columns += ("answer",) if load in WITH_SIP else ()
    columns += ("delay p50", "delay p99") if load in RELAYED else ()
    columns += ("apart",) if load == "bridged" else ()
    columns += ("KiB", "tick", "late", "right", "result")
    return Text(TITLES[load], columns, tuple(_row(results, kinds, figure) for figure in figures))


def _row(results: Results, kinds: list[str], figure: Figure) -> tuple[str, ...]:
    cells = [f"{figure.calls:,}"]
    for kind in kinds:
        same = [
            f
            for f in results.figures
            if (f.load, f.subject, f.calls) == (figure.load, kind, figure.calls)
        ]
        cells.append(f"{same[0].ms_per_call_second:.3f}{_star(same[0])}" if same else "-")
    cells += [f"{figure.ms_per_call_second:.3f}", _number(figure.ratio_to_floor, ".1f")]
    if figure.load in WITH_SIP:
        cells.append(_p99(figure.answer))
    if figure.load in RELAYED:
        delay = figure.relayed
        cells += [f"{delay.p50_ms:.1f}", f"{delay.p99_ms:.1f}"] if delay else ["-", "-"]
    if figure.load == "bridged":
        sides = figure.bridged
        cells.append(f"{sides.apart_least_ms:.1f} to {sides.apart_most_ms:.1f}" if sides else "-")
    right = figure.recorded
    cells += [
        _number(figure.kib_per_call, ".0f"),
        _number(figure.tick_p99_ms, ".1f"),
        f"{figure.late_p99_ms:.1f}",
        f"{right.files_right}/{right.files}" if right else "-",
        "FAILED" if figure.problems else "right",
    ]
    return tuple(cells)


def _growth(results: Results) -> Text:
    """Return what a call costs at a quarter, a half and the whole of the largest such load."""
    rows = []
    for load in TITLES:
        cost = {f.calls: f.ms_per_call_second for f in results.of(load) if not f.problems}
        wholes = [n for n in cost if n % 4 == 0 and n // 4 in cost and n // 2 in cost]
        if wholes:
            whole = max(wholes)
            costs = (f"{cost[n]:.3f}" for n in (whole // 4, whole // 2, whole))
            rows.append((load, f"{whole:,}", *costs))
    columns = ("load", "whole", "at a quarter", "at a half", "at the whole")
    return Text("Growth: CPU ms per call (or pair) and second", columns, tuple(rows))


def _set_ups(steps: list[SetUp]) -> Text:
    columns = (
        "standing", "new/s", "p50", "p99", "CPU", "of it media", "render", "again", "core %",
        "result",
    )  # fmt: skip
    rows = tuple(
        (
            f"{step.standing:,}",
            f"{step.rate:.0f}",
            f"{step.answer.p50_ms:.0f}",
            f"{step.answer.p99_ms:.0f}",
            f"{step.cpu_ms:.2f}",
            f"{step.media_ms:.2f}",
            f"{step.render_ms:.2f}",
            f"{step.retransmitted}",
            f"{step.core_percent:.0f}",
            "FAILED" if step.problems else "right",
        )
        for step in steps
    )
    kind = "bridged calls" if steps[0].bridged else "calls"
    title = f"Short {kind} beside such that stand: answer and CPU of each, ms"
    return Text(title, columns, rows)


def _overloads(runs: list[Overload]) -> Text:
    columns = (
        "max_calls", "offered", "new/s", "taken", "refused", "answer", "tick", "lost", "right",
        "result",
    )  # fmt: skip
    rows = tuple(
        (
            run.limit,
            f"{run.offered:,}",
            f"{run.rate:.0f}",
            f"{run.accepted:,}",
            f"{run.refused:,}",
            _p99(run.answer),
            _number(run.tick_p99_ms, ".1f"),
            f"{run.recorded.samples_missing}",
            f"{run.recorded.files_right}/{run.recorded.files}",
            "FAILED" if run.problems else "right",
        )
        for run in runs
    )
    return Text("More calls than there is room for", columns, rows)


def _ending(ending: Ending) -> Text:
    columns = ("calls", "within s", "audio s", "p50", "p99", "longest", "render ms/min", "result")
    row = (
        f"{ending.calls:,}",
        f"{ending.seconds:.0f}",
        f"{ending.audio_seconds:.0f}",
        f"{ending.made_p50_s:.1f}",
        f"{ending.made_p99_s:.1f}",
        f"{ending.made_max_s:.1f}",
        f"{ending.render_ms_per_minute:.0f}",
        "FAILED" if ending.problems else "right",
    )
    return Text("Calls that end together: seconds until their files are there", columns, (row,))


def _quiet(quiet: Quiet) -> list[Text]:
    rows = [
        (p.name, f"{p.rss_mib:.1f}", f"{p.pss_mib:.1f}", f"{p.cpu_percent:.2f}")
        for p in quiet.processes
    ]
    total = (
        "all",
        f"{sum(p.rss_mib for p in quiet.processes):.1f}",
        f"{sum(p.pss_mib for p in quiet.processes):.1f}",
        f"{sum(p.cpu_percent for p in quiet.processes):.2f}",
    )
    starts = tuple(
        (name, f"{min(seconds):.2f}", f"{max(seconds):.2f}")
        for name, seconds in (
            ("in a new folder", quiet.fresh_seconds),
            ("again", quiet.again_seconds),
        )
    )
    return [
        Text("Start to /health, seconds", ("start", "quickest", "slowest"), starts),
        Text("Idle", ("process", "RSS MiB", "PSS MiB", "core %"), (*rows, total)),
    ]


def _shelf(shelf: Shelf) -> Text:
    rows = tuple(
        (one.request, f"{one.count:,}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}")
        for one in shelf.latencies
    )
    title = f"{shelf.recordings:,} recordings kept: ms a request"
    return Text(title, ("request", "times", "p50", "p99"), rows)


def _star(figure: Figure) -> str:
    """Mark a yardstick that could not keep up, or could not be fed."""
    return " *" if figure.problems else ""


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _p99(answer: Answer | None) -> str:
    return "-" if answer is None else f"{answer.p99_ms:.0f}"
