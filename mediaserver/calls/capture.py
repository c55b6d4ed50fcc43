"""What is kept of a leg: its journal, and the recorders that watch for their ends.

One capture listens to one media leg, whatever the number of recordings on it. While at least one
runs, what the leg hears (`speak`) and what it is sent (`listen`) is appended to the leg's journal,
at the positions of its line. A recording is a stretch of that journal: a *take*. What comes late
is written over the silence that held its place, so the journal is right even where the voice
detector had to decide without it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog

from ..clock import Clock, now_us
from ..errors import LocalError
from ..recording.recorder import StopRules
from ..recording.resource import Direction, PauseBehavior, Span
from ..recording.states import StopReason
from .ports import JournalFile, Journals, LegStatistics, Line
from .take import NEVER, Take

log = structlog.get_logger(__name__)


class Watcher(Protocol):
    """Whoever else wants to hear what a leg hears, on the leg's own time."""

    @property
    def wake(self) -> int:
        """Position of `decided` at which there is something to hear."""

    def hear(self, leg: Line, upto: int, decided: int) -> None:
        """Look at what is final up to `upto`; time has passed up to `decided`."""


class Capture:
    """See the module. It is its leg's listener; every key goes to the `key_listeners` as well."""

    def __init__(self, leg: Line, journals: Journals, clock: Clock) -> None:
        self.folder = f"journals/{leg.id}"
        """Where the leg's journal is, relative to the data folder."""
        self.key_listeners: list[Callable[[str, int], None]] = []
        """Are told of every key, and of the position its tone began at."""
        self._leg = leg
        self._journals = journals
        self._clock = clock
        self._takes: list[Take] = []
        self._watchers: list[Watcher] = []
        self._speak: JournalFile | None = None
        self._listen: JournalFile | None = None
        self._wide: dict[Direction, JournalFile] = {}
        self._wide_fault: LocalError | None = None
        """Why not all of that was written."""
        self._starts: dict[Direction, int] = {}
        """Where the journals begin on the line."""
        self._over = False
        self._kept = False
        self._last: LegStatistics | None = None
        leg.listener = self

    @property
    def running(self) -> int:
        """Number of takes in progress."""
        return len(self._takes)

    def start(self, rules: StopRules, since: int | None = None) -> Take:
        """Begin a recording at `since`, a moment ago; None: at the line's present position."""
        start = self._leg.now() if since is None else since
        if self._speak is None or self._listen is None:
            self._open(start)
        if not self._kept:
            self._keep(start)
        take = Take(rules, start, self._leg.rate)
        self._takes.append(take)
        self._set_wake()
        return take

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Whoever watches now."""
        return tuple(self._watchers)

    def watch(self, watcher: Watcher) -> None:
        """Let somebody hear what is heard, until `unwatch` or the end of the leg."""
        self._watchers.append(watcher)
        self._set_wake()

    def unwatch(self, watcher: Watcher) -> None:
        """Let somebody hear no more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
            if not self._over:
                self._set_wake()

    def finish(self, take: Take) -> Awaitable[None]:
        """Let go of a take that stopped; done when all of it is in the journal's files."""
        if take in self._takes:
            try:
                if not self._over:
                    self._leg.keep_up()
            finally:
                self._takes.remove(take)
                self._keep_no_more_than_needed()
        return self._flushed_to_disk()

    async def settled(self) -> int:
        """Bring all that was heard and sent to disk; return the position before which it is final.

        LocalError when it could not be written. Of a leg that is over, the last take's end says it.
        """
        final = 0
        if not self._over:
            _, final, _ = self._leg.marks()
            self._leg.keep_up()
        await self._flushed_to_disk()
        return final

    def span(self, take: Take, end: int | None = None) -> Span:
        """Return the stretch of journal that a take covers."""
        return Span(journal=self.folder, rate=self._leg.rate, start=take.start, end=end)

    def statistics(self) -> LegStatistics:
        """Return what became of the leg's packets so far, or until it was over."""
        return self._last or self._leg.statistics()

    def stop(self, take: Take) -> None:
        """End a take by command, with what has been heard by now."""
        self._catch_up(take)
        take.end(StopReason.COMMAND, self._leg.now())

    def pause(self, take: Take, behavior: PauseBehavior) -> bool:
        """Record nothing from now on; False if the take is over, or paused already.

        While every take is paused, nothing is written down: what is said then is on no disk.
        """
        if self._over:
            return False
        self._catch_up(take)
        done = take.pause(behavior, self._leg.now())
        self._set_wake()
        if done:
            self._leg.keep_up()
            self._keep_no_more_than_needed()
        return done

    def resume(self, take: Take) -> bool:
        """Record again from now on; False if the take is over, or not paused."""
        if self._over:
            return False
        now = self._leg.now()
        done = take.resume(now)
        if done and not self._kept:
            self._keep(now)
        self._set_wake()
        return done

    def _catch_up(self, take: Take) -> None:
        if not self._over:
            _, final, decided = self._leg.marks()
            take.hear(self._leg, final, decided)

    def hang_up(self, reason: StopReason = StopReason.HANGUP) -> None:
        """End every take where the leg ends now, with the last packet that arrived.

        Nothing is read from the leg after this: it may be closed, and its place given away. Should
        the leg fail now, the takes end all the same, with what they were given before.
        """
        if self._over:
            return
        try:
            end = self._leg.end()
            placed, _, _ = self._leg.marks()
            for take in self._takes:
                take.hear(self._leg, placed, end)
                take.end(reason, end)
            for watcher in self.watchers:
                watcher.hear(self._leg, placed, end)
            self._leg.keep_up()
        finally:
            self._over = True
            _, final, _ = self._leg.marks()
            for take in self._takes:
                take.end(reason, final)
            self._last = self._leg.statistics()

    def on_key(self, digit: str, position: int) -> None:
        """Offer a key to every take, and to whoever collects keys."""
        for take in self._takes:
            take.press(digit, position)
        for listen in tuple(self.key_listeners):
            listen(digit, position)

    def on_advance(self) -> None:
        """Move every take on, the journal from time to time, and whoever watches."""
        if self._over or not (self._takes or self._watchers):
            return
        _, final, decided = self._leg.marks()
        for take in self._takes:
            take.hear(self._leg, final, decided)
        for watcher in self.watchers:
            watcher.hear(self._leg, final, decided)
        self._set_wake()

    async def close(self) -> None:
        """Close the journal; the leg is done. LocalError when not all of it was written."""
        lines, wide = self._lines(), tuple(self._wide.values())
        self._speak = self._listen = None
        self._wide = {}
        try:
            await self._wide_done(file.close() for file in wide)
        finally:
            await _all(file.close() for file in lines)

    def _open(self, first: int) -> None:
        rate = self._leg.rate
        wall_us = now_us(self._clock)
        self._starts = {Direction.SPEAK: first, Direction.LISTEN: self._leg.sent_at(first)}
        self._speak, self._listen = (
            self._journals.create(self.folder, side, rate=rate, first=start, wall_us=wall_us)
            for side, start in self._starts.items()
        )

    def _open_wide(self, side: Direction, rate: int) -> JournalFile:
        """Return the journal of what has a higher rate than the line."""
        if side not in self._wide:
            self._wide[side] = self._journals.create(
                self.folder,
                side,
                rate=rate,
                first=self._starts[side] * rate // self._leg.rate,
                wall_us=now_us(self._clock),
                wide=True,
            )
        return self._wide[side]

    def _lines(self) -> list[JournalFile]:
        return [file for file in (self._speak, self._listen) if file is not None]

    def _keep(self, since: int) -> None:
        assert self._speak is not None
        assert self._listen is not None
        self._leg.keep(self._speak, self._listen, since, self._open_wide)
        self._kept = True

    def _keep_no_more_than_needed(self) -> None:
        if self._kept and all(take.paused for take in self._takes):
            self._leg.keep_no_more()
            self._kept = False

    def _set_wake(self) -> None:
        listening: Iterable[Take | Watcher] = (*self._takes, *self._watchers)
        self._leg.wake = min((one.wake for one in listening), default=NEVER)

    async def _flushed_to_disk(self) -> None:
        wide = tuple(self._wide.values())
        await _all(file.flushed() for file in self._lines())
        await self._wide_done(file.flushed() for file in wide)

    async def _wide_done(self, works: Iterable[Awaitable[None]]) -> None:
        """Wait for the journals of the higher rate; where one fails, the line has what was said."""
        try:
            await _all(works)
        except LocalError as error:
            if self._wide_fault is None:
                self._wide_fault = error
                log.warning("recorded at the rate of the line", error=str(error))


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Wait for every one of `works`; raise the first LocalError when all are done."""
    faults: list[LocalError] = []
    for work in works:
        try:
            await work
        except LocalError as error:
            faults.append(error)
    if faults:
        raise faults[0]
