"""The media engine alone, without SIP: a process whose legs play, or are relayed in pairs.

Every leg is connected as if it had been negotiated, and captured by a recording with every stop
condition on, into a journal of what its party says and one of what it hears. Of a pair one leg is:
that is both directions. It is the server's own engine, capture and
journal writer on the server's own loop; what is missing is the signalling, which is measured
elsewhere, and costs nothing while calls stand.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mediaserver.calls.capture import Capture
from mediaserver.calls.take import Take
from mediaserver.clock import SystemClock
from mediaserver.errors import LocalError
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool
from mediaserver.recording.recorder import StopRules
from mediaserver.sdp.codec import PCMU
from mediaserver.sdp.negotiation import AudioSession, Direction
from mediaserver.store.journals import JournalWriter

from .load import Begin, Finish
from .options import HOST
from .process import Channel
from .speech import FRAME, PROMPT_KINDS, RATE, load_voice

RULES: Final = StopRules(
    terminators="#", initial_timeout=4.0, end_silence_timeout=5.0, max_length=3600.0
)
"""As in the document the calls of the server get."""

OPENED_AT_ONCE: Final = 8
"""Legs that are opened each 20 ms."""

BEGUN_AT_ONCE: Final = 32
"""Legs whose capture begins each 20 ms: before the first has waited for a voice for too long."""

PLAYED_BEYOND: Final = 10.0
"""Seconds a prompt is longer than the steady state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """What is asked of the engine."""

    count: int
    paired: bool
    """Whether legs 2 n and 2 n + 1 are relayed to each other; if not, each is played a prompt."""
    seconds: float
    """Length of the steady state."""
    folder: Path
    """Where the journals go."""
    rtp_first: int
    rtp_last: int
    ports: tuple[int, ...]
    """Where each leg's party is."""
    report_port: int
    """Where RTCP goes."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Told when every leg is there: the port of each."""

    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """Told when everything is captured, and played or relayed."""


@dataclass(frozen=True, slots=True)
class HowLate:
    """Sent to ask for `Lateness`."""

    seconds: float
    """How long ago the steady state began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How late the engine's ticks began in the steady state; milliseconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one capture."""

    leg: int
    """Number of the leg that was captured."""
    journal: str
    """Its journal's folder, relative to the folder of all."""
    start: int
    end: int
    reason: str
    """Why the recording stopped."""
    fault: str | None
    """Why the journal is not complete."""


def serve(legs: Legs, channel: Channel) -> None:
    """Body of the process: open, begin when told, finish when told, tell what became of it."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(legs, channel))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what the server runs on."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(order: Legs, channel: Channel) -> None:
    commands = _Commands(channel)
    journals = JournalWriter(order.folder)
    pool = PortPool(HOST, order.rtp_first, order.rtp_last)
    engine = MediaEngine(
        pool, SystemClock(), advertise=HOST, journals=journals, capacity=order.count
    )
    engine.start()
    bench = _Bench(order, engine, journals)
    await bench.open()
    channel.send(Opened(tuple(leg.address[1] for leg in bench.legs)))
    await commands.expect(Begin)
    await bench.begin()
    gc.collect()
    gc.freeze()
    channel.send(Started())
    while isinstance(asked := await commands.next(), HowLate):
        reading = engine.pulse.read(engine.clock.monotonic(), asked.seconds)
        channel.send(Lateness(p50=1000 * reading.late_p50, p99=1000 * reading.late_p99))
    channel.send(await bench.finish())
    engine.stop()
    journals.close()


class _Commands:
    """What the other side of a channel says, without waiting for it on the loop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue: asyncio.Queue[object] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(channel.fileno(), self._read)

    async def next(self) -> object:
        """Return the next command; `Finish` when there will be none any more."""
        return await self._queue.get()

    async def expect(self, kind: type[object]) -> None:
        """Wait for a command, which is a `kind`."""
        assert isinstance(await self.next(), kind)

    def _read(self) -> None:
        try:
            self._queue.put_nowait(self._channel.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._queue.put_nowait(Finish())


class _Bench:
    """The legs, and what is captured of them."""

    def __init__(self, order: Legs, engine: MediaEngine, journals: JournalWriter) -> None:
        self._order = order
        self._engine = engine
        self.legs: list[RtpLeg] = []
        self._captures: list[tuple[int, Capture, Take]] = []
        """Each with the number of its leg."""
        self._playing: list[asyncio.Task[None]] = []
        self._journals = journals

    async def open(self) -> None:
        """Open the legs one after the other, as calls come: else all of them would have their
        blocks full, and their journals written, at the same ticks.
        """
        while len(self.legs) < self._order.count:
            self.legs.append(self._engine.open_leg())
            if not len(self.legs) % OPENED_AT_ONCE:
                await asyncio.sleep(0.02)

    async def begin(self) -> None:
        """Connect, capture, and play or relay, some legs after the others for the same reason."""
        order, voice = self._order, load_voice()
        packets = round((order.seconds + PLAYED_BEYOND) * RATE / FRAME)
        prompts = (
            [] if order.paired else [voice.prompt(kind, packets) for kind in range(PROMPT_KINDS)]
        )
        for number, leg in enumerate(self.legs):
            if number and not number % BEGUN_AT_ONCE:
                await asyncio.sleep(0.02)
            leg.connect(_session(order.ports[number], order.report_port), HOST)
            if not (order.paired and number % 2):
                capture = Capture(leg, self._journals, self._engine.clock)
                self._captures.append((number, capture, capture.start(RULES)))
            if prompts:
                prompt = prompts[number % len(prompts)]
                self._playing.append(asyncio.create_task(_play(leg, prompt)))
            if order.paired and number % 2:
                self._engine.join(self.legs[number - 1], leg)

    async def finish(self) -> list[Taken]:
        """End every recording; return what became of each."""
        for _, capture, _ in self._captures:
            capture.hang_up()
        taken = []
        for number, capture, take in self._captures:
            stop = await take.stopped
            fault = None
            try:
                await capture.finish(take)
                await capture.close()
            except LocalError as error:
                fault = str(error)
            taken.append(
                Taken(
                    leg=number,
                    journal=capture.folder,
                    start=take.start,
                    end=stop.position,
                    reason=stop.reason.value,
                    fault=fault,
                )
            )
        for leg in self.legs:
            leg.close()
        await asyncio.gather(*self._playing)
        return taken


async def _play(leg: RtpLeg, prompt: NDArray[np.int16]) -> None:
    await leg.play(prompt)


def _session(port: int, report_port: int) -> AudioSession:
    """Return what an offer of PCMU and telephone events comes to."""
    return AudioSession(
        remote_rtp=(HOST, port),
        remote_rtcp=(HOST, report_port),
        rtcp_mux=False,
        receive=MappingProxyType({0: PCMU}),
        send_payload_type=0,
        send_codec=PCMU,
        receive_events=MappingProxyType({101: 8000}),
        send_events=(101, 8000),
        comfort_noise=frozenset({13}),
        ptime=20,
        direction=Direction.SENDRECV,
        held=False,
    )
