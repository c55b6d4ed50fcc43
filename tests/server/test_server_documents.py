"""Where the scripts of calls come from, what callers get without one, and who notices."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from farend.phone import Phone
from farend.receiver import Receiver, signatures
from farend.server import SIGNING_KEY, Server
from farend.speech import choose, utterance
from farend.talker import Talker
from farend.waveform import place

RING: list[object] = [{"hangup": {"reason": "decline"}}]
"""A script that is known by its 603."""

JUNK = {
    "html": ("text/html", b"<html>"),
    "wrong": ("application/json", b'{"sections": {"main": [{"dance": {}}]}}'),
    "empty": ("application/yaml", b""),
    "ten-megabytes": ("application/yaml", b"a: " + b"x" * 10_000_000),
    "deep": ("application/json", b'{"sections":' + b"[" * 100 + b"]" * 100 + b"}"),
    "deep-yaml": ("application/yaml", b"sections: " + b"[" * 100 + b"]" * 100),
    "deeper": ("application/json", b"[" * 1_000_000),
    "deeper-yaml": ("application/yaml", b"[" * 1_000_000),
    "values": ("application/json", b"[" + b"[]," * 330_000 + b"[]]"),
    "values-yaml": ("application/yaml", b"- []\n" * 200_000),
    "aliases": (
        "application/yaml",
        b"a0: &a0 [x]\n"
        + b"".join(
            b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 30)
        ),
    ),
}
"""What no application should send, by the user that is called for it."""

INSIDE = (
    "127.0.0.1:{port}",
    "0.0.0.0:{port}",
    "localhost:{port}",
    "[::1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[64:ff9b::7f00:1]:{port}",
    "2130706433:{port}",
    "0x7f.1:{port}",
    "0177.0.0.1:{port}",
    "127.1:{port}",
    "8.8.8.8@127.0.0.1:{port}",
    "169.254.169.254/latest/meta-data/",
    "10.0.0.1/",
)


class Listener:
    """A server at an address that is not to be reached."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._sockets[0].getsockname()[1]
        self._sockets.append(
            socket.create_server(("::1", self.port), family=socket.AF_INET6, dualstack_ipv6=False)
        )

    def connections(self) -> int:
        """Count and take those that came."""
        count = 0
        for listening in self._sockets:
            listening.setblocking(False)
            while True:
                try:
                    listening.accept()[0].close()
                except BlockingIOError:
                    break
                count += 1
        return count

    def close(self) -> None:
        for listening in self._sockets:
            listening.close()


@dataclass
class House:
    server: Server
    receiver: Receiver
    listener: Listener
    inside: list[str] = field(default_factory=list)
    """Users whose scripts are at addresses that are not to be reached."""

    def told(self, path: str) -> list[dict[str, Any]]:
        """Return the errors that came for a path."""
        return [callback.params["error"] for callback in self.receiver.accepted(path)]


def page(steps: list[object]) -> tuple[str, bytes]:
    return "application/json", json.dumps({"sections": {"main": steps}}).encode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "sorry.yaml").write_text("sections: {main: [{hangup: {reason: decline}}]}")
    (folder / "plain.json").write_bytes(
        page([{"record": {"status_url": receiver.url("/doc/plain"), "initial_timeout": 0}}])[1]
    )
    listener = Listener()
    receiver.pages |= {f"/doc/{name}": junk for name, junk in JUNK.items()}
    receiver.pages["/doc/ring"] = receiver.pages["/doc/ring?a=%7e"] = page(RING)
    receiver.refusals["/doc/gone"] = [404] * 1000
    gone, ring = receiver.url("/doc/gone"), receiver.url("/doc/ring?a=%7e")
    secret = ring.replace("http://", "http://us%40er:pa%3Ass@")
    routes: dict[str, dict[str, Any]] = {
        "posted": {"swml": secret},
        "got": {"swml": secret, "method": "GET"},
        "capitals": {"swml": ring.replace("http", "HTTP")},
        "gone": {"swml": gone, "status_url": receiver.url("/doc/warnings/gone")},
        "unavailable": {"swml": gone, "on_failure": "unavailable"},
        "sorry": {
            "swml": gone,
            "fallback_url": receiver.url("/doc/html"),
            "on_failure": "sorry.yaml",
            "status_url": receiver.url("/doc/warnings/sorry"),
        },
        "spare": {
            "swml": receiver.url("/doc/wrong"),
            "fallback_url": receiver.url("/doc/ring"),
            "fallback_method": "GET",
            "status_url": receiver.url("/doc/warnings/spare"),
        },
        # It takes the connection, and never answers.
        "silent": {"swml": f"http://127.0.0.1:{listener.port}/", "timeout": 0.5},
        "nobody": {"swml": "http://nobody.invalid/", "timeout": 1.0},
        "forbidden": {"swml": ring, "allow": []},
        "plain": {"swml": "plain.json"},
    }
    for name in JUNK:
        routes[name] = {"swml": receiver.url(f"/doc/{name}")}
    inside = []
    for number, place_ in enumerate(INSIDE):
        url = f"http://{place_.format(port=listener.port)}"
        inside += [f"inside{number}", f"moved{number}"]
        routes[f"inside{number}"] = {"swml": url, "allow": [], "timeout": 3}
        (folder / f"moved{number}.json").write_bytes(page([{"transfer": {"dest": url}}])[1])
        routes[f"moved{number}"] = {"swml": f"moved{number}.json", "allow": []}
    (folder / "lost.json").write_bytes(page([{"answer": {}}, {"transfer": {"dest": gone}}])[1])
    routes["lost"] = {"swml": "lost.json", "status_url": receiver.url("/doc/warnings/lost")}
    settings = {"routes": [{"to": user, **route} for user, route in routes.items()]}
    with_routes = Server(folder, {}, settings)
    with_routes.expected = {"document refused"}
    with with_routes as server:
        yield House(server, receiver, listener, inside)
    listener.close()


async def status(house: House, user: str) -> int:
    """Call somebody whose script refuses; return with what."""
    async with Phone.open(house.server.sip) as phone:
        return (await phone.invite(user)).status


@pytest.mark.parametrize(("user", "method"), [("posted", "POST"), ("got", "GET")])
async def test_an_application_is_asked_as_its_route_says_and_can_tell_that_it_is_us(
    house: House, user: str, method: str
) -> None:
    path = "/doc/ring?a=%7e"
    before = len(house.receiver.at(path))
    assert await status(house, user) == 603
    (asked,) = house.receiver.at(path)[before:]
    # What was signed is the URL without user and password, and then the body.
    expected = signatures(SIGNING_KEY, house.receiver.url(path), asked.body)
    assert expected.items() <= asked.headers.items()
    assert asked.headers["authorization"] == "Basic dXNAZXI6cGE6c3M="
    if method == "GET":
        assert asked.body == b""
        assert "content-type" not in asked.headers
    else:
        assert set(asked.event) == {"call", "vars", "envs", "params"}
        assert asked.event["vars"] == asked.event["params"] == {}


async def test_a_url_is_one_however_its_scheme_is_written(house: House) -> None:
    assert await status(house, "capitals") == 603


@pytest.mark.parametrize(
    ("user", "answer"),
    [("gone", 486), ("unavailable", 503), ("sorry", 603), ("spare", 603), ("forbidden", 486)],
)
async def test_without_a_script_callers_get_what_the_route_says(
    house: House, user: str, answer: int
) -> None:
    assert await status(house, user) == answer


async def test_who_wants_to_know_is_told_of_each_that_gave_no_script(house: House) -> None:
    await asyncio.gather(*(status(house, user) for user in ("gone", "sorry", "spare")))
    expected = {
        ("gone", "answered 404"),
        ("sorry", "answered 404"),
        ("sorry", "text/html"),
        ("spare", "there is no method"),
    }

    def missing() -> set[tuple[str, str]]:
        return {
            (user, words)
            for user, words in expected
            if not any(words in error["message"] for error in house.told(f"/doc/warnings/{user}"))
        }

    await house.receiver.until(lambda: not missing())
    assert house.told("/doc/warnings/gone")[0] == {
        "code": "relay_script_method_execute_failed",
        "path": "",
        "message": "there is no document at http://127.0.0.1: 127.0.0.1 answered 404",
    }
    assert house.told("/doc/warnings/spare")[0]["code"] == "relay_script_method_undefined"


async def test_a_script_that_leads_nowhere_ends_the_call_and_says_so(house: House) -> None:
    async with Phone.open(house.server.sip) as phone:
        await phone.call("lost")
        await phone.until_ended()
    path = "/doc/warnings/lost"
    await house.receiver.until(lambda: bool(house.told(path)))
    (error,) = house.told(path)
    assert error["code"] == "relay_script_method_execute_failed"
    assert error["path"] == "sections.main[1].transfer"
    assert "there is no document at http://127.0.0.1" in error["message"]


@pytest.mark.parametrize(("user", "seconds"), [("silent", 0.5), ("nobody", 1.0)])
async def test_who_does_not_answer_is_given_up_in_time(
    house: House, user: str, seconds: float
) -> None:
    began = time.monotonic()
    assert await status(house, user) == 486
    assert time.monotonic() - began < seconds + 2
    house.listener.connections()


async def test_no_script_is_fetched_from_an_address_that_is_not_to_be_reached(
    house: House,
) -> None:
    house.listener.connections()
    answers = await asyncio.gather(*(status(house, user) for user in house.inside))
    assert set(answers) == {486, 500}
    assert house.listener.connections() == 0


async def test_what_no_application_should_send_is_refused_and_no_other_call_notices(
    house: House, speech_files: tuple[Path, ...]
) -> None:
    payload, sent = utterance(choose(speech_files, 1.5, 3)[0])
    slowest = 0.0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal slowest
        while not done.is_set():
            began = time.monotonic()
            await asyncio.to_thread(house.server.get, "/health", key=None)
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.01)

    async with Phone.open(house.server.sip) as phone:
        await phone.call("plain")
        watching = asyncio.create_task(watch())
        saying = asyncio.create_task(phone.say(Talker().say(payload)))
        answers = {}
        while not saying.done():
            found = await asyncio.gather(*(status(house, user) for user in JUNK))
            answers = dict(zip(JUNK, found, strict=True))
        await saying
        done.set()
        await watching
        await asyncio.sleep(0.05)
        await phone.hang_up()
    end = await house.receiver.until_final("/doc/plain")
    assert answers == dict.fromkeys(JUNK, 486)
    assert place(sent, house.server.samples(end.params["recording_id"])).exact
    assert slowest < 0.5
