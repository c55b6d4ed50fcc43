"""What the runs found out, as it is printed and kept."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Figure:
    """What a load cost: one run."""

    load: str
    """`record`, `stereo`, `play`, `relay` or `bridged`."""
    subject: str
    """`mediaserver`, or a yardstick: `floor`, `asyncio` or `compiled`."""
    calls: int
    """Calls; under `relay`, pairs of legs; a bridged call has two."""
    ms_per_call_second: float
    """CPU milliseconds per call and second, render processes not included."""
    render_ms_per_call_second: float = 0.0
    core_percent: float
    """The same as a share of one core."""
    dropped: int
    """Datagrams the kernel dropped at sockets of either side."""
    tick_p50_ms: float | None = None
    """How late the server's media ticks began; None where it does not say."""
    tick_p99_ms: float | None = None
    late_p99_ms: float
    """How late the generator's turns were over."""
    late_max_ms: float
    generator_percent: float
    generator_us_per_packet: float
    """CPU microseconds of the generator for each packet it sent, all else it does included."""
    ratio_to_floor: float | None = None
    others_percent: float
    """Share of the same core that was used by none of ours."""
    kib_per_call: float | None = None
    """Memory of the process that came with the calls."""
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Why the run does not count; empty when it does."""
    recorded: Recorded | None = None
    """Under `record`."""
    answer: Answer | None = None
    """Under `record`; under `bridged`, until both parties were connected."""
    relayed: Delay | None = None
    """Under `relay` and `bridged`."""
    bridged: Bridged | None = None
    """Under `bridged`."""


@dataclass(slots=True, kw_only=True)
class Recorded:
    """What is known of the recordings a run left."""

    files: int
    """How many there should be."""
    files_right: int
    samples_sent: int
    samples_missing: int
    lead_max_ms: float = 0.0
    """Longest silence in a file before the first packet."""
    trail_max_ms: float = 0.0
    callbacks: dict[str, int] = field(default_factory=dict)
    """How often each state was told."""
    made_seconds: list[float] = field(default_factory=list)
    """From the end of each recording until its files were made and its end was announced."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """How long INVITEs waited for their 200."""

    calls: int
    p50_ms: float
    p99_ms: float


@dataclass(slots=True, kw_only=True)
class Delay:
    """What the relay adds to a packet's way."""

    packets: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True, kw_only=True)
class Bridged:
    """How the two sides of calls fit together."""

    apart_p50_ms: float
    """How much later the right channel of a recording has what was said at the same time."""
    apart_least_ms: float
    apart_most_ms: float
    heard_p99_ms: float
    """After the callee's answer, from when on a party heard the other one."""


@dataclass(slots=True, kw_only=True)
class SetUp:
    """Short calls beside calls that stand: one rate."""

    bridged: bool = False
    """Whether each is connected on."""
    standing: int
    rate: float
    """Calls a second."""
    answer: Answer
    cpu_ms: float
    """CPU milliseconds of the server for one short call, from INVITE to BYE, its two seconds of
    media and its callbacks included; what the standing calls cost is taken off."""
    media_ms: float = 0.0
    """What of it the two seconds of media cost, going by what the standing calls do."""
    render_ms: float
    """The same of the render processes."""
    retransmitted: int
    core_percent: float
    late_p99_ms: float
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Overload:
    """More calls offered than are taken on."""

    limit: str
    """`limits.max_calls` as configured."""
    offered: int
    rate: float
    accepted: int
    refused: int
    """With 503 and Retry-After."""
    answer: Answer
    tick_p99_ms: float | None
    recorded: Recorded
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Ending:
    """Calls that end one after the other, and their files."""

    calls: int
    seconds: float
    """Within which they end."""
    audio_seconds: float
    """Length of a recording, the median."""
    made_p50_s: float
    made_p99_s: float
    made_max_s: float
    render_ms_per_minute: float
    """CPU milliseconds of the encoders for a minute of audio."""
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Process:
    """One process of an idle server."""

    name: str
    rss_mib: float
    pss_mib: float
    """What of its memory is its share: pages of several processes are divided among them."""
    cpu_percent: float


@dataclass(slots=True, kw_only=True)
class Quiet:
    """A server without a call."""

    fresh_seconds: list[float]
    """From its start to the first `GET /health` answered 200, in a new data folder."""
    again_seconds: list[float]
    """The same in a folder it had been started in."""
    processes: list[Process]


@dataclass(slots=True, kw_only=True)
class Latency:
    """One kind of request."""

    request: str
    count: int
    p50_ms: float
    p99_ms: float


@dataclass(slots=True, kw_only=True)
class Shelf:
    """Requests to a server that keeps many recordings."""

    recordings: int
    start_seconds: float
    latencies: list[Latency]
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything one invocation found out."""

    figures: list[Figure] = field(default_factory=list)
    set_ups: list[SetUp] = field(default_factory=list)
    overloads: list[Overload] = field(default_factory=list)
    ending: Ending | None = None
    quiet: Quiet | None = None
    shelf: Shelf | None = None

    def problems(self) -> list[str]:
        """Return why runs of the server do not count."""
        found = [p for f in self.figures if f.subject == "mediaserver" for p in f.problems]
        found += [problem for step in self.set_ups for problem in step.problems]
        found += [problem for run in self.overloads for problem in run.problems]
        found += self.ending.problems if self.ending is not None else []
        return found + (self.shelf.problems if self.shelf is not None else [])

    def most(self, load: str) -> int:
        """Return the largest load of a kind that was carried with everything right; 0 for none."""
        return max((f.calls for f in self.of(load) if not f.problems), default=0)

    def of(self, load: str) -> list[Figure]:
        """Return the server's figures under a kind of load."""
        return [f for f in self.figures if f.load == load and f.subject == "mediaserver"]
