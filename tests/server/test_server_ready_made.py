"""The scripts in config/, as they come but for addresses: each is called, all at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from farend.callee import Callee
from farend.caller import Caller
from farend.phone import Phone
from farend.receiver import PATIENCE, Receiver
from farend.server import Server
from farend.speech import encode
from farend.waveform import FRAME, Samples, decoded, level, sine
from mediaserver.audio.tones import BEEP_HZ

CONFIG = Path(__file__).resolve().parents[2] / "config"
APP = "https://app.example.com"
DESK = "sip:reception@pbx.example.com"
CALLER, CALLEE = 700.0, 1100.0
"""What the two sound like, in Hz."""
SPOKEN = 1.2
POUND = 11
LOUD = -40.0

WEEK = "1, 2, 3, 4, 5"
ALL_WEEK = {WEEK: "0, 1, 2, 3, 4, 5, 6"}

SCRIPTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "voicemail": ("voicemail", {}),
    "announce": ("announce", {}),
    "menu": ("menu", {}),
    "menu-in-vain": ("menu", {"initial_timeout: 5": "initial_timeout: 0.1"}),
    "record-call": ("record_call", {}),
    "joined": ("record_and_connect", {}),
    "busy": ("record_and_connect", {}),
    "open": ("after_hours", ALL_WEEK),
    "nobody": ("after_hours", ALL_WEEK | {"timeout: 30": "timeout: 1"}),
    "closed": ("after_hours", {WEEK: ""}),
    "too-early": ("after_hours", ALL_WEEK | {"opens: 9": "opens: 13"}),
    "too-late": ("after_hours", ALL_WEEK | {"closes: 17": "closes: 10"}),
    "consent": ("consent", {}),
    "refusal": ("consent", {}),
}  # fmt: skip
"""By the name that is called: the script, and what a user changes in it."""


@dataclass(frozen=True)
class Stage:
    """Where the stories are lived."""

    server: Server
    receiver: Receiver

    @asynccontextmanager
    async def calling(self, name: str, callee: Callee | None = None) -> AsyncIterator[Caller]:
        """Call a script, which calls `callee` if it calls anybody; the caller hangs up last."""
        fields = [f"X-Desk: {callee.uri}"] if callee is not None else []
        async with Phone.open(self.server.sip) as phone:
            answer = await phone.invite(name, fields=fields)
            assert answer.status == 200, answer
            yield Caller(phone)

    async def recording(self, name: str, box: str) -> Samples:
        """Return the channels of the recording that a script announced at `box`."""
        end = await self.receiver.until_final(f"/ready-made/{name}/{box}")
        assert end.state == "finished"
        form = end.params["record"]["audio"]["format"]
        return decoded(self.server.file(end.params["recording_id"], form))

    def announced(self, name: str) -> list[str]:
        """Return the paths at which something was announced for a script."""
        return [c.path for c in self.receiver.all if c.path.startswith(f"/ready-made/{name}/")]


def written(name: str, source: str, changes: Mapping[str, str], receiver: Receiver) -> str:
    """Return a script with what its comments tell to change."""
    text = (CONFIG / f"{source}.yaml").read_text()
    for old, new in changes.items():
        assert old in text, (source, old)
        text = text.replace(old, new)
    text = text.replace(f"to: {DESK}", 'to: "${call.headers[0].value}"')
    text = text.replace("# status_url:", "status_url:")
    assert DESK not in text
    return text.replace(APP, receiver.url(f"/ready-made/{name}"))


def hears(samples: Samples) -> set[float]:
    """Return who of the two is heard."""
    return {hertz for hertz in (CALLER, CALLEE) if level(samples, hertz) > LOUD}


async def speak(caller: Caller) -> None:
    await caller.say(encode("PCMU", sine(CALLER, SPOKEN)))


async def talk(caller: Caller, callee: Callee) -> None:
    """Let both speak at the same time, and hear each other."""
    caller.phone.heard.clear()
    await asyncio.gather(speak(caller), Caller(callee).say(encode("PCMU", sine(CALLEE, SPOKEN))))
    await asyncio.sleep(0.2)
    assert hears(caller.phone.received()) == {CALLEE}
    assert hears(callee.received()) == {CALLER}


async def tone_heard(phone: Phone, hertz: float) -> None:
    """Wait for a tone that was not there before."""
    phone.heard.clear()
    async with asyncio.timeout(PATIENCE):
        while True:
            heard = phone.received()
            parts = heard[: heard.size // 800 * 800].reshape(-1, 800)
            if any(level(part, hertz) > LOUD for part in parts):
                return
            await asyncio.sleep(0.05)


async def answer_question(caller: Caller, key: int) -> None:
    """Press a key when a tone asks for one."""
    await tone_heard(caller.phone, 440.0)
    await caller.press(key)


async def after_beep(caller: Caller) -> None:
    await tone_heard(caller.phone, BEEP_HZ)
    await asyncio.sleep(0.4)


async def leave_message(caller: Caller) -> None:
    await after_beep(caller)
    await speak(caller)
    await caller.phone.hang_up()


async def voicemail(stage: Stage, name: str) -> None:
    async with stage.calling(name) as caller:
        await after_beep(caller)
        await speak(caller)
        await caller.press(POUND)
        await caller.phone.until_ended()
    (message,) = await stage.recording(name, "recordings")
    assert hears(message) == {CALLER}


async def announce(stage: Stage, name: str) -> None:
    async with stage.calling(name) as caller:
        await caller.phone.until_ended()
        heard = caller.phone.listened()
        assert min(level(heard, 440.0), level(heard, 480.0)) > LOUD
    assert stage.announced(name) == []


async def menu(stage: Stage, name: str) -> None:
    async with stage.calling(name) as caller:
        await answer_question(caller, 5)
        await answer_question(caller, 2)
        await leave_message(caller)
    (message,) = await stage.recording(name, "messages/support")
    assert hears(message) == {CALLER}


async def menu_in_vain(stage: Stage, name: str) -> None:
    async with stage.calling(name) as caller:
        await caller.phone.until_ended()
        # A question of 0.3 s, asked three times.
        heard = np.abs(caller.phone.received().astype(np.int32)).reshape(-1, FRAME).max(axis=1)
        assert abs(int((heard > 500).sum()) * 0.02 - 0.9) < 0.1
    assert stage.announced(name) == []


async def record_call(stage: Stage, name: str) -> None:
    async with stage.calling(name) as caller:
        await speak(caller)
        await caller.phone.hang_up()
    left, right = await stage.recording(name, "recordings")
    assert (hears(left), hears(right)) == ({CALLER}, set())


async def joined(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await callee.take()
        await talk(caller, callee)
        await callee.hang_up()
        await caller.phone.until_ended()
    left, right = await stage.recording(name, "recordings")
    assert (hears(left), hears(right)) == ({CALLER}, {CALLEE})


async def busy(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await callee.rung()
        await callee.reply(486, "Busy Here")
        await leave_message(caller)
    (message,) = await stage.recording(name, "messages")
    assert hears(message) == {CALLER}


async def office(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await callee.take()
        await talk(caller, callee)
        await callee.hang_up()
        await caller.phone.until_ended()
    assert stage.announced(name) == []


async def nobody(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await callee.rung()
        await callee.reply(180, "Ringing")
        await leave_message(caller)
        assert callee.cancelled.is_set()
    (message,) = await stage.recording(name, "messages")
    assert hears(message) == {CALLER}


async def closed(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await leave_message(caller)
        assert callee.rings.empty()
    (message,) = await stage.recording(name, "messages")
    assert hears(message) == {CALLER}


async def consent(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await answer_question(caller, 1)
        await callee.take()
        await talk(caller, callee)
        await caller.phone.hang_up()
        await callee.until_ended()
    left, right = await stage.recording(name, "recordings")
    assert (hears(left), hears(right)) == ({CALLER}, {CALLEE})


async def refusal(stage: Stage, name: str) -> None:
    async with Callee.wait(stage.server.sip) as callee, stage.calling(name, callee) as caller:
        await answer_question(caller, 2)
        await callee.take()
        await talk(caller, callee)
        await caller.phone.hang_up()
        await callee.until_ended()
    assert stage.announced(name) == []


Story = Callable[[Stage, str], Awaitable[None]]
STORIES: Mapping[str, Story] = {
    "voicemail": voicemail,
    "announce": announce,
    "menu": menu,
    "menu-in-vain": menu_in_vain,
    "record-call": record_call,
    "joined": joined,
    "busy": busy,
    "open": office,
    "nobody": nobody,
    "closed": closed,
    "too-early": closed,
    "too-late": closed,
    "consent": consent,
    "refusal": refusal,
}


def where_it_is_eleven() -> str:
    """Return the time zone, as POSIX has it, in which the eleventh hour is passing."""
    return f"HERE{time.gmtime().tm_hour - 11:+d}"


@pytest.fixture(scope="module")
def ends(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[Mapping[str, BaseException | None]]:
    """How each story ended; they are lived through at once, on one server."""
    folder = tmp_path_factory.mktemp("ready-made")
    server = Server(folder, {}, environment={"TZ": where_it_is_eleven()})
    for name, (source, changes) in SCRIPTS.items():
        (folder / f"{name}.yaml").write_text(written(name, source, changes, receiver))
        server.add_route(name, f"{name}.yaml")

    async def live() -> list[BaseException | None]:
        stage = Stage(server, receiver)
        stories = (story(stage, name) for name, story in STORIES.items())
        return await asyncio.gather(*stories, return_exceptions=True)

    with server:
        yield dict(zip(STORIES, asyncio.run(live()), strict=True))


@pytest.mark.parametrize("name", STORIES)
def test_a_script_that_comes_with_it_does_what_its_comment_says(
    name: str, ends: Mapping[str, BaseException | None]
) -> None:
    error = ends[name]
    if error is not None:
        raise error


def test_no_script_is_left_out() -> None:
    """But the conference, which has its own tests."""
    scripts = {p.stem for p in CONFIG.glob("*.yaml") if "\nsections:" in p.read_text()}
    assert {source for source, _ in SCRIPTS.values()} == scripts - {"conference"}
