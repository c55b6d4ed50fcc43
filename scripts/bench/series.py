"""One run after the other, each told as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rich.console import Console

from .compiled import compiler
from .errors import BenchError
from .figures import Figure, Results
from .options import ASYNCIO_MOST, JOINING_MOST, Options
from .report import Setting, line_of, print_tables, write_json, write_markdown
from .runs.bridged import run_bridged
from .runs.churn import run_churn, run_joining
from .runs.ending import run_ending
from .runs.legs import run_play, run_relay
from .runs.measure import Say
from .runs.overload import run_overload
from .runs.quiet import run_quiet
from .runs.record import run_record, run_stereo
from .runs.shelf import run_shelf
from .runs.yardstick import run_yardstick
from .speech import Voice
from .tables import RELAYED, YARDSTICKS_OF

Run = Callable[[int, Options, Voice, Say], Figure]

RUNS: dict[str, Run] = {
    "record": run_record,
    "stereo": run_stereo,
    "play": run_play,
    "relay": run_relay,
    "bridged": run_bridged,
}
"""What measures the server, or its engine, under each load."""

PACE = 200
"""New calls a second an overloaded server takes on: the setting's default."""


class Series:
    """All runs of one invocation."""

    def __init__(self, console: Console, setting: Setting, voice: Voice) -> None:
        self._console = console
        self._setting = setting
        self._options = setting.options
        self._voice = voice
        self._results = Results()

    def run(self) -> bool:
        """Run every part that was asked for; return whether everything was right."""
        parts: dict[str, Callable[[], None]] = {
            "quiet": self._quiet,
            **{load: partial(self._load, load, run) for load, run in RUNS.items()},
            "churn": self._churn,
            "joining": self._joining,
            "overload": self._overload,
            "ending": self._ending,
            "shelf": self._shelf,
        }
        for name, part in parts.items():
            if name in self._options.parts:
                part()
                self._keep()
        self._console.print()
        print_tables(self._console, self._results)
        return not self._results.problems()

    def _load(self, load: str, run: Run) -> None:
        """Measure a load, every one asked for, the yardsticks under the same packets first."""
        for calls in self._options.loads[load]:
            floor = self._yardsticks(load, calls)
            with self._console.status(f"{load} {calls}, mediaserver") as status:
                figure = run(calls, self._options, self._voice, status.update)
            if floor:
                figure.ratio_to_floor = figure.ms_per_call_second / floor
            self._add(figure)
            self._keep()
            if figure.problems and load in RELAYED:
                break  # more would not be carried either

    def _yardsticks(self, load: str, calls: int) -> float | None:
        """Measure the yardsticks of a load; return the floor, None if it is not known."""
        floor: float | None = None
        for kind in YARDSTICKS_OF[load]:
            if kind not in self._options.yardsticks:
                continue
            if (kind == "asyncio" and calls > ASYNCIO_MOST) or (
                kind == "compiled" and not compiler()
            ):
                continue
            with self._console.status(f"{load} {calls}, {kind}"):
                figure = run_yardstick(kind, calls, self._options, load)
            self._add(figure)
            if kind == "floor" and not figure.problems:
                floor = figure.ms_per_call_second
        return floor

    def _churn(self) -> None:
        standing = max(1, self._capacity() // 2)
        with self._console.status(f"{standing} calls standing") as status:
            self._results.set_ups += run_churn(standing, self._options, self._voice, status.update)

    def _joining(self) -> None:
        carried = self._results.most("bridged") or min(self._options.loads["bridged"])
        standing = max(1, min(carried, JOINING_MOST) // 2)
        with self._console.status(f"{standing} bridged calls standing") as status:
            self._results.set_ups += run_joining(
                standing, self._options, self._voice, status.update
            )

    def _overload(self) -> None:
        capacity = self._capacity()
        for limit in (capacity, "auto"):
            limits: dict[str, object] = {"max_calls": limit, "max_calls_per_second": PACE}
            with self._console.status(f"overload, max_calls {limit}") as status:
                try:
                    found = run_overload(
                        limits, capacity, self._options, self._voice, status.update
                    )
                except BenchError as error:
                    if limit != "auto":
                        raise
                    self._console.print(f"max_calls auto: {error}", markup=False)
                    continue
            self._results.overloads.append(found)

    def _ending(self) -> None:
        with self._console.status("calls that end together") as status:
            self._results.ending = run_ending(self._options, self._voice, status.update)

    def _quiet(self) -> None:
        with self._console.status("start-up and idleness"):
            self._results.quiet = run_quiet(self._options)

    def _shelf(self) -> None:
        with self._console.status("many recordings") as status:
            self._results.shelf = run_shelf(self._options.recordings, self._options, status.update)

    def _capacity(self) -> int:
        """Return the calls the server carries: as told, or as found."""
        capacity = self._options.capacity or self._results.most("record")
        if capacity == 0:
            raise BenchError("no load of record was carried: name a capacity with --capacity")
        return capacity

    def _add(self, figure: Figure) -> None:
        self._results.figures.append(figure)
        self._console.print(line_of(figure), markup=False, highlight=False, soft_wrap=True)

    def _keep(self) -> None:
        """Write what there is by now."""
        if self._options.json is not None:
            write_json(self._options.json, self._setting, self._results)
        if self._options.markdown is not None:
            write_markdown(self._options.markdown, self._setting, self._results)
