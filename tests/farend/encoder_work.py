"""What an encoder process is given to do in tests; light, for each new one imports it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PERFORM = f"{__name__}:perform"
"""What `renderer.RENDER` is to be for jobs of this kind."""

Beat = Callable[[], None]


@dataclass
class Work:
    """What stands for a job: `do` is called in the encoder, with its sign of life."""

    do: Callable[[Beat], Any]
    recording_id: str = "0"
    start: int = 0
    end: int = 0
    rate: int = 8000
    ballast: object = None


def perform(job: Work, beat: Beat) -> Any:
    """Do in the encoder what is to be done instead of rendering."""
    return job.do(beat)


def pid(beat: Beat) -> int:
    """Tell which process this is."""
    return os.getpid()


def sleep(seconds: float, beat: Beat) -> int:
    """Take some time."""
    time.sleep(seconds)
    return os.getpid()


def meet(folder: Path, count: int, beat: Beat) -> int:
    """Wait until so many processes are here at once."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < count:
        time.sleep(0.01)
    return os.getpid()


def hang(beat: Beat) -> None:
    """Never come to an end, and never say that it goes on."""
    while True:
        time.sleep(60)


def plod(seconds: float, beat: Beat) -> str:
    """Take some time, and say meanwhile that it goes on."""
    for _ in range(round(10 * seconds)):
        time.sleep(0.1)
        beat()
    return "done"


def die_once(mark: Path, beat: Beat) -> int:
    """Take the process along, unless that was done before."""
    if mark.exists():
        return os.getpid()
    mark.touch()
    os._exit(9)
