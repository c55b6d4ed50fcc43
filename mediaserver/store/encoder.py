"""An encoder process: asked by `Renderer` over standard input, answering over standard output.

A question or an answer is four octets of length and a pickle; while it works on an answer it sends
lengths of zero, one a second at most, which say that it gets on. The first thing it sends is such a
length: it is ready. A process of our own and not one of `multiprocessing`: that takes two more
processes and three threads to hand a job on, and what a render imports (PyAV, numpy) is all there
is in here.
"""

from __future__ import annotations

import os
import pickle
import pkgutil
import select
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import BinaryIO, Final

from mediaserver.errors import LocalError
from mediaserver.recording.failure import RecordingFailed, failure_of

NICENESS: Final = 10

BEAT: Final = 1.0
"""Least seconds between two signs that the work goes on."""

RENDER: Final = "mediaserver.recording.render:render"
"""What is done with a job."""

LENGTH: Final = struct.Struct(">I")


def packed(message: object) -> bytes:
    """Return a message as it goes through a pipe."""
    data = pickle.dumps(message)
    return LENGTH.pack(len(data)) + data


def main() -> None:
    """Do what is asked, one job after the other, until the server is gone."""
    # Ctrl-C, and a SIGTERM to the whole service, are for the server, which lets us finish.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    threading.Thread(target=_follow_server, daemon=True).start()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    pkgutil.resolve_name(RENDER)  # what takes longest is imported before there is work
    _serve(sys.stdin.buffer, answers)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    beat = _heart(answers)
    answers.write(LENGTH.pack(0))
    answers.flush()
    while header := questions.read(LENGTH.size):
        name, job = pickle.loads(questions.read(*LENGTH.unpack(header)))  # noqa: S301  our server's
        try:
            answer: object = pkgutil.resolve_name(name)(job, beat)
        except Exception as error:
            answer = _portable(error)
        answers.write(packed(answer))
        answers.flush()


def _heart(answers: BinaryIO) -> Callable[[], None]:
    """Return what the work calls whenever a part of it is done."""
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= BEAT:
            last = now
            answers.write(LENGTH.pack(0))
            answers.flush()

    return beat


def _portable(error: Exception) -> Exception:
    """Return an error as it can be sent, with the traceback of one that nobody thought of."""
    if isinstance(error, LocalError):
        return RecordingFailed(str(error), failure_of(error))
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _follow_server() -> None:
    """End this process when the server's has ended, however it ended: nobody takes the answer."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), 0)  # no event but the hang-up
    poll.poll()
    os._exit(1)
