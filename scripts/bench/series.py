"""One run after the other, each told as soon as it is known."""

from __future__ import annotations

from rich.console import Console

from .compiled import compiler
from .errors import BenchError
from .figures import Figure, Results
from .options import ASYNCIO_MOST, JOINING_MOST
from .report import Setting, line_of, print_tables, write_json, write_markdown
from .runs.bridged import run_bridged
from .runs.churn import run_churn, run_joining
from .runs.ending import run_ending
from .runs.legs import run_play, run_relay
from .runs.overload import run_overload
from .runs.quiet import run_quiet
from .runs.record import run_record, run_stereo
from .runs.shelf import run_shelf
from .runs.yardstick import run_yardstick
from .speech import Voice

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
        parts = {
            "quiet": self._quiet,
            "record": self._record,
            "stereo": self._stereo,
            "play": self._play,
            "relay": self._relay,
            "bridged": self._bridged,
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

    def _record(self) -> None:
        for calls in self._options.loads["record"]:
            floor: float | None = None
            for kind in self._options.yardsticks:
                if kind == "asyncio" and calls > ASYNCIO_MOST:
                    continue
                figure = self._yardstick(kind, calls, "record")
                if kind == "floor" and figure is not None and not figure.problems:
                    floor = figure.ms_per_call_second
            with self._console.status(f"{calls} calls, mediaserver") as status:
                ours = run_record(calls, self._options, self._voice, status.update)
            if floor:
                ours.ratio_to_floor = ours.ms_per_call_second / floor
            self._add(ours)
            self._keep()

    def _stereo(self) -> None:
        for calls in self._options.loads["stereo"]:
            with self._console.status(f"{calls} calls, in stereo while played to") as status:
                self._add(run_stereo(calls, self._options, self._voice, status.update))

    def _play(self) -> None:
        for calls in self._options.loads["play"]:
            self._bound(calls, "play")
            with self._console.status(f"{calls} calls, played to and recorded") as status:
                self._add(run_play(calls, self._options, self._voice, status.update))

    def _relay(self) -> None:
        for pairs in self._options.loads["relay"]:
            self._bound(pairs, "relay")
            with self._console.status(f"{pairs} pairs, relayed and recorded") as status:
                figure = run_relay(pairs, self._options, self._voice, status.update)
            self._add(figure)
            if figure.problems:
                break  # more would not be carried either

    def _bridged(self) -> None:
        for calls in self._options.loads["bridged"]:
            floor = None
            if "floor" in self._options.yardsticks:
                floor = self._yardstick("floor", calls, "bridged")
            self._bound(calls, "bridged")
            with self._console.status(f"{calls} calls, bridged and recorded") as status:
                figure = run_bridged(calls, self._options, self._voice, status.update)
            if floor is not None and not floor.problems:
                figure.ratio_to_floor = figure.ms_per_call_second / floor.ms_per_call_second
            self._add(figure)
            self._keep()
            if figure.problems:
                break  # more would not be carried either

    def _bound(self, calls: int, load: str) -> None:
        if "compiled" in self._options.yardsticks:
            self._yardstick("compiled", calls, load)

    def _yardstick(self, kind: str, calls: int, load: str) -> Figure | None:
        """Measure a yardstick, None where it cannot be."""
        if kind == "compiled" and not compiler():
            return None
        with self._console.status(f"{load} {calls}, {kind}"):
            figure = run_yardstick(kind, calls, self._options, load)
        self._add(figure)
        return figure

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
