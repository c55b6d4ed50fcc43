"""The bench's own processes: each starts on its core, says things through a pipe, and is ended."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar

from .errors import BenchError
from .machine import on_core

T = TypeVar("T")
_SPAWN = multiprocessing.get_context("spawn")


class Channel(Protocol):
    """One end of a pipe to another process."""

    def send(self, obj: Any) -> None:
        """Send what can be pickled."""

    def recv(self) -> Any:
        """Wait for the next thing and return it; EOFError when the other end is closed."""

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Tell whether something comes within `timeout` seconds."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""


class Child:
    """A process that runs `body(argument, channel)` on one core; leaving the context ends it."""

    def __init__(
        self, name: str, core: int, body: Callable[[Any, Channel], None], argument: Any
    ) -> None:
        self.name = name
        self._channel, other = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_run, args=(body, argument, other), name=name, daemon=True
        )
        with on_core(core):
            self._process.start()
        other.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    def send(self, message: object) -> None:
        """Say something to the process."""
        try:
            self._channel.send(message)
        except OSError:
            raise BenchError(f"the {self.name} ended unexpectedly; see above") from None

    def expect(self, kind: type[T], timeout: float) -> T:
        """Return the next thing it says, which is a `kind`; BenchError if nothing comes."""
        try:
            if not self._channel.poll(timeout):
                raise BenchError(f"the {self.name} said nothing for {timeout:.0f} s")
            message = self._channel.recv()
        except (EOFError, ConnectionError):
            raise BenchError(f"the {self.name} ended unexpectedly; see above") from None
        assert isinstance(message, kind), (self.name, message)
        return message

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()
        self._process.join(5 if kind is None else 0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _run(body: Callable[[Any, Channel], None], argument: Any, channel: Channel) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        body(argument, channel)
    except OSError as error:
        raise SystemExit(f"{multiprocessing.current_process().name}: {error}") from error
