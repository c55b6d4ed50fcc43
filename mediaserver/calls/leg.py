"""The media leg of one call: opened, captured, watched for a far end that is gone, let go.

Whatever the call comes to, the leg is closed once, with the last packet that arrived by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..clock import Clock
from ..errors import LocalError
from ..recording.states import StopReason
from .capture import Capture
from .media_timeout import MediaTimeout, Patience
from .ports import Journals, LegStatistics, MediaLeg


class CallLeg:
    """See the module; there is nothing of it before it is opened."""

    def __init__(self, journals: Journals, clock: Clock, log: Any) -> None:
        """`log` is that of the call."""
        self._journals = journals
        self._clock = clock
        self._log = log
        self.media: MediaLeg | None = None
        self.capture: Capture | None = None
        self.statistics: LegStatistics | None = None
        """What became of its packets, once it is closed."""
        self._timeout: MediaTimeout | None = None

    def open(self, media: MediaLeg) -> MediaLeg:
        """Take a leg that was opened for the call, and listen to it."""
        self.media = media
        self.capture = Capture(media, self._journals, self._clock)
        return media

    def press(self, digit: str) -> bool:
        """Take a key that did not come as audio or RTP, as if pressed now; False if none can be."""
        if self.media is None or self.capture is None:
            return False
        self.capture.on_key(digit, self.media.now())
        return True

    def watch(self, patience: Patience, gone: Callable[[], None]) -> None:
        """Call `gone` when nothing comes from the far end any more."""
        if self.media is not None:
            self._timeout = MediaTimeout(self.media, patience, self._clock, gone)
            self._timeout.renew()

    def renew_patience(self) -> None:
        """Wait for the far end as if it had been heard now: it holds the call, or does no more."""
        if self._timeout is not None:
            self._timeout.renew()

    def let_go(self) -> None:
        """Close takes and ports now, with what has arrived by now.

        What fails here must not keep the rest from being closed.
        """
        if self._timeout is not None:
            self._timeout.close()
            self._timeout = None
        try:
            if self.capture is not None:
                self.capture.hang_up(StopReason.HANGUP)
        except Exception:
            self._log.exception("capture not closed")
        try:
            if self.media is not None:
                self.statistics = self.media.statistics()
                self.media.close()
        except Exception:
            self._log.exception("media leg not closed")

    async def close_journal(self) -> None:
        """Close what was written of it."""
        if self.capture is None:
            return
        try:
            await self.capture.close()
        except LocalError as error:
            self._log.error("journal not closed", error=str(error))
