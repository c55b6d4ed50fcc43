"""The result: a table to read and JSON to keep."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from .options import YARDSTICKS, Options
from .runs import Figure

NOTE = (
    "CPU milliseconds per call and second of: a recvmmsg sweep of all sockets every 100 ms, in "
    "Python through ctypes (floor); an asyncio endpoint a stream that does nothing; the server "
    "and, apart, its render processes. x: server by floor. KiB: the server's memory per call. "
    "answer: INVITE to 200, p99 in ms. late: the generator's own lateness, p99 in ms, worst of "
    "the runs. files: those that are right to the sample. *: lost packets, or could not be fed."
)

COLUMNS = (
    "calls", *YARDSTICKS, "server", "render", "x", "KiB", "answer", "late", "files", "result",
)  # fmt: skip


def print_table(console: Console, figures: Sequence[Figure]) -> None:
    """Print one line a load."""
    table = Table(
        title="One-way recordings, PCMU, 20 ms packets",
        caption=NOTE,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for calls in dict.fromkeys(figure.calls for figure in figures):
        row = {figure.subject: figure for figure in figures if figure.calls == calls}
        table.add_row(*_cells(calls, row))
    console.print(table)
    for figure in figures:
        for problem in (*figure.remarks, *figure.problems):
            console.print(f"{figure.calls} calls, {figure.subject}: {problem}", markup=False)


def _cells(calls: int, row: dict[str, Figure]) -> list[str]:
    cells = [str(calls), *(_yardstick(row.get(name)) for name in YARDSTICKS)]
    ours = row.get("mediaserver")
    if ours is None or ours.server is None:
        return [*cells, *["-"] * 8]
    ratio = "-" if ours.ratio_to_floor is None else f"{ours.ratio_to_floor:.1f}"
    late = max(figure.late_p99_ms for figure in row.values())
    return [
        *cells,
        f"{ours.ms_per_call_second:.3f}",
        f"{ours.render_ms_per_call_second:.3f}",
        ratio,
        f"{ours.server.rss_per_call_kib:.0f}",
        f"{ours.server.answer_p99_ms:.0f}",
        f"{late:.1f}",
        f"{ours.server.files_right}",
        "[red]FAILED[/]" if ours.problems else "[green]right[/]",
    ]


def _yardstick(figure: Figure | None) -> str:
    """Return its figure, marked where it could not keep up."""
    if figure is None:
        return "-"
    return f"{figure.ms_per_call_second:.3f}" + ("*" if figure.problems else "")


def write_json(
    path: Path, machine: str, voice: str, options: Options, figures: Sequence[Figure]
) -> None:
    """Write everything measured."""
    result = {
        "machine": machine,
        "voice": voice,
        "unit": NOTE,
        "seconds": options.seconds,
        "setup_rate": options.setup_rate,
        "complete": all(not f.problems for f in figures if f.subject == "mediaserver"),
        "figures": [dataclasses.asdict(figure) for figure in figures],
    }
    path.write_text(json.dumps(result, indent=2) + "\n")
