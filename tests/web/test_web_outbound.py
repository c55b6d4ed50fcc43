"""Robustness S14: no request of ours reaches an address that is not to be reached.

The forbidden listener is on loopback. Where a public address is needed, 127.0.0.2 plays it: the
guard is told to allow that one.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mediaserver.addresses import is_disguised, is_public, parse_address
from mediaserver.web import guard as guard_module
from mediaserver.web.fetcher import Fetcher
from mediaserver.web.guard import AddressRefused, OutboundGuard
from mediaserver.web.outbound import FetchFailed, Poster
from mediaserver.web.signatures import Signer
from mediaserver.web.targets import BadUrl, Target

LOOPBACK = ip_network("127.0.0.0/8")
PUBLIC = ip_network("127.0.0.2/32")

OpenReceiver = Callable[..., Awaitable[Any]]


@pytest.fixture
async def fetcher_for() -> Any:
    """Makes fetchers on guards; all are closed after the test."""
    made: list[Any] = []

    def make(allow: Sequence[Any] = (), lookup: Any = None) -> Fetcher:
        guard = OutboundGuard(allow, lookup)
        fetcher = Fetcher(guard, Signer("key"))
        made.extend([fetcher, guard])
        return fetcher

    yield make
    for one in made:
        await one.close()


async def ask(
    fetcher: Fetcher, url: str, body: bytes | None = b"{}", allow: Any = None, seconds: float = 3.0
) -> Any:
    return await fetcher.ask(url, body=body, max_bytes=10_000, timeout=seconds, allow=allow)


async def get(fetcher: Fetcher, url: str, max_bytes: int = 10_000, seconds: float = 3.0) -> Any:
    return await fetcher.get(url, max_bytes=max_bytes, timeout=seconds)


def answers(*rounds: Sequence[str] | Exception) -> Any:
    """A name server: one answer after another, the last for ever; counts what it was asked."""
    asked: list[str] = []

    async def lookup(host: str) -> Sequence[str]:
        answer = rounds[min(len(asked), len(rounds) - 1)]
        asked.append(host)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lookup.asked = asked  # type: ignore[attr-defined]
    return lookup


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_inner_addresses_are_not_public(address: str) -> None:
    parsed = parse_address(address)
    assert parsed is not None
    assert not is_public(parsed)
    assert not OutboundGuard().permits(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert OutboundGuard().permits(address)


def test_allowed_networks_are_permitted_and_no_disguise_of_them() -> None:
    guard = OutboundGuard([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert guard.permits("10.9.9.9")
    assert guard.permits("fd12::1")
    assert not guard.permits("127.0.0.1")
    assert not guard.permits("::ffff:10.9.9.9")
    assert not guard.permits("name")
    assert not guard.permits("")


@pytest.mark.parametrize(
    ("host", "disguised"),
    [
        ("2130706433", True),
        ("0x7f000001", True),
        ("0x7f.1", True),
        ("0177.0.0.1", True),
        ("127.1", True),
        ("127.0.0.1.", True),
        ("127.0.0.08", True),
        ("example.0x1f", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("example.com", False),
        ("0x7f.example", False),
        ("1and1.example", False),
        ("example.xn--p1ai", False),
    ],
)
def test_addresses_in_other_spellings_are_recognised(host: str, disguised: bool) -> None:
    assert is_disguised(host) is disguised


FORBIDDEN = [
    "http://127.0.0.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://user:pass@127.0.0.1:{port}/",
    "http://8.8.8.8@127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://[fc00::1]/",
    "http://[fe80::1%25eth0]/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "ftp://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "//127.0.0.1:{port}/",
    "/etc/passwd",
    "http:///path",
    "http://",
    "",
    "http://127.0.0.1:99999/",
    "http://[::1",
    "http://h\r\nX-Evil: 1/",
    "http://h/ x",
    "http://h/\x00",
    "http://h/" + "x" * 9000,
]


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_no_url_leads_to_a_forbidden_address(
    receiver: Any, receiver_at: OpenReceiver, fetcher_for: Any, url: str
) -> None:
    on_ipv6 = await receiver_at("::1", receiver.port)
    fetcher = fetcher_for()
    with pytest.raises(FetchFailed) as raised:
        await get(fetcher, url.format(port=receiver.port))
    assert raised.value.status in {400, 403, 502}
    assert "pass" not in raised.value.reason
    for body in (b"{}", None):
        with pytest.raises(FetchFailed):
            await ask(fetcher, url.format(port=receiver.port), body)
    assert receiver.connections == on_ipv6.connections == 0


async def test_an_allowed_network_is_reached(receiver: Any, fetcher_for: Any) -> None:
    fetched = await get(fetcher_for([LOOPBACK]), receiver.url("/a?b=c"))
    assert (fetched.body, fetched.url) == (b"", receiver.url("/a?b=c"))
    assert receiver.got[0].headers["Accept-Encoding"] == "identity"


async def test_a_name_for_an_inner_address_is_refused(receiver: Any, fetcher_for: Any) -> None:
    for addresses in (
        ["127.0.0.1"],
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["::ffff:127.0.0.1"],
        ["::1"],
        ["not an address"],
    ):
        fetcher = fetcher_for([PUBLIC], answers(addresses))
        with pytest.raises(FetchFailed) as raised:
            await get(fetcher, f"http://name.example:{receiver.port}/")
        assert raised.value.status == 403
    assert receiver.connections == 0


async def test_a_name_that_changes_after_the_check_gains_nothing(
    receiver_at: OpenReceiver, fetcher_for: Any
) -> None:
    """DNS rebinding: one look-up for a connection, and the socket goes where it said."""
    public = await receiver_at("127.0.0.2")
    inner = await receiver_at("127.0.0.1", public.port)

    async def refuse_reuse(_got: Any) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    public.answer = refuse_reuse
    lookup = answers(["127.0.0.2"], ["127.0.0.1"])
    fetcher = fetcher_for([PUBLIC], lookup)
    url = f"http://rebinding.example:{public.port}/"
    await get(fetcher, url)
    assert lookup.asked == ["rebinding.example"]
    assert public.got[0].headers["Host"] == f"rebinding.example:{public.port}"
    for _ in range(3):
        with pytest.raises(FetchFailed):
            await get(fetcher, url)
    assert len(lookup.asked) == 4
    assert inner.connections == 0


async def test_the_socket_is_checked_even_if_nothing_before_was(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, fetcher_for: Any
) -> None:
    """The last check stands alone: it sees the address that is being connected to."""

    async def lax(_self: Any, _host: str) -> Sequence[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(OutboundGuard, "resolve", lax)
    monkeypatch.setattr(OutboundGuard, "check", lambda *_: None)
    fetcher = fetcher_for()
    for host in ("name.example", "127.0.0.1"):
        with pytest.raises(FetchFailed) as raised:
            await get(fetcher, f"http://{host}:{receiver.port}/")
        assert raised.value.status == 403
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "failure",
    [
        OSError("no name server"),
        socket.gaierror(-2, "Name or service not known"),
        UnicodeError("label empty or too long"),
        RuntimeError("surprise"),
        [],
    ],
)
async def test_a_resolver_that_fails_means_no_connection(
    receiver: Any, fetcher_for: Any, failure: Any
) -> None:
    fetcher = fetcher_for([LOOPBACK], answers(failure))
    with pytest.raises(FetchFailed) as raised:
        await get(fetcher, f"http://name.example:{receiver.port}/")
    assert raised.value.status == 502
    assert receiver.connections == 0


async def test_a_resolver_that_hangs_is_given_up_and_blocks_no_other_name(
    receiver: Any, fetcher_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_module, "LOOKUP_TIMEOUT", 0.3)
    asked: list[str] = []

    async def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        if host == "dead.example":
            await asyncio.sleep(60)
        return ["127.0.0.1"]

    fetcher = fetcher_for([LOOPBACK], lookup)
    dead = [
        asyncio.create_task(get(fetcher, f"http://dead.example:{receiver.port}/"))
        for _ in range(50)
    ]
    await asyncio.sleep(0)
    await get(fetcher, f"http://alive.example:{receiver.port}/", seconds=0.25)
    failures = await asyncio.gather(*dead, return_exceptions=True)
    assert all(isinstance(failure, FetchFailed) for failure in failures)
    # One look-up for all of them.
    assert asked.count("dead.example") == 1


async def test_a_look_up_takes_no_longer_than_its_fetch_may_and_blocks_nobody(
    receiver: Any, fetcher_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server is dead: the system's resolver sits in a thread until it gives up."""
    answered = threading.Event()

    def dead(_host: str) -> Sequence[str]:
        answered.wait(10)
        return ["127.0.0.1"]

    monkeypatch.setattr(guard_module, "_getaddrinfo", dead)
    fetcher = fetcher_for([LOOPBACK])
    turns = 0
    fetch = asyncio.create_task(
        ask(fetcher, f"http://name.example:{receiver.port}/", seconds=0.2, allow=(PUBLIC,))
    )
    while not fetch.done():
        turns += 1
        await asyncio.sleep(0.01)
    with pytest.raises(FetchFailed, match=r"name\.example took longer than 0\.2 s"):
        await fetch
    assert turns > 3
    answered.set()
    assert receiver.connections == 0


async def test_the_systems_resolver_is_asked_off_the_loop(receiver: Any, fetcher_for: Any) -> None:
    with pytest.raises(FetchFailed) as raised:
        await get(fetcher_for(), f"http://localhost:{receiver.port}/")
    assert raised.value.status == 403
    await get(fetcher_for([LOOPBACK, ip_network("::1/128")]), f"http://localhost:{receiver.port}/")


class TestRedirects:
    @staticmethod
    def to(location: str, status: int = 302) -> Any:
        async def redirect(_got: Any) -> web.Response:
            return web.Response(status=status, headers={"Location": location})

        return redirect

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_to_an_inner_address_is_refused(
        self, receiver_at: OpenReceiver, fetcher_for: Any, status: int
    ) -> None:
        public, inner = await receiver_at("127.0.0.2"), await receiver_at("127.0.0.1")
        fetcher = fetcher_for([PUBLIC], answers(["127.0.0.1"]))
        for location in (
            inner.url(),
            inner.url().replace("127.0.0.1", "2130706433"),
            inner.url().replace("127.0.0.1", "[::ffff:127.0.0.1]"),
            inner.url().replace("127.0.0.1", "name.example"),
            inner.url().removeprefix("http:"),
            "file:///etc/passwd",
            "http://[",
            "",
        ):
            public.answer = self.to(location, status)
            with pytest.raises(FetchFailed):
                await get(fetcher, public.url())
            with pytest.raises(FetchFailed):
                await ask(fetcher, public.url())
        assert inner.connections == 0

    async def test_three_redirects_are_followed_and_no_fourth(
        self, receiver: Any, fetcher_for: Any
    ) -> None:
        async def count_down(got: Any) -> web.Response:
            left = int(got.path.rsplit("/", 1)[1])
            if left == 0:
                return web.Response(text="there")
            return web.Response(status=302, headers={"Location": f"/{left - 1}"})

        receiver.answer = count_down
        fetcher = fetcher_for([LOOPBACK])
        fetched = await get(fetcher, receiver.url("/3"))
        assert (fetched.body, fetched.url) == (b"there", receiver.url("/0"))
        with pytest.raises(FetchFailed, match="redirects more than 3"):
            await get(fetcher, receiver.url("/4"))

    async def test_credentials_do_not_follow_to_another_origin(
        self, receiver_at: OpenReceiver, fetcher_for: Any
    ) -> None:
        first, second = await receiver_at(), await receiver_at()
        fetcher = fetcher_for([LOOPBACK])
        url = first.url().replace("http://", "http://user:pass@")

        async def here_then_there(got: Any) -> web.Response:
            location = second.url() if got.path == "/again" else "/again"
            return web.Response(status=302, headers={"Location": location})

        first.answer = here_then_there
        await get(fetcher, url)
        assert [got.headers.get("Authorization") for got in first.got] == [
            "Basic dXNlcjpwYXNz",
            "Basic dXNlcjpwYXNz",
        ]
        assert "Authorization" not in second.got[0].headers

    @pytest.mark.parametrize("body", [b"{}", None])
    async def test_what_is_asked_is_signed_anew_where_it_is_redirected(
        self, receiver: Any, fetcher_for: Any, body: bytes | None
    ) -> None:
        signer = Signer("key")

        async def move(got: Any) -> web.Response:
            if got.path == "/old":
                return web.Response(status=307, headers={"Location": "/new?a=1"})
            return web.Response(text="version: 1.0.0", content_type="application/yaml")

        receiver.answer = move
        url = receiver.url("/old").replace("http://", "http://user:pass@")
        fetched = await ask(fetcher_for([LOOPBACK]), url, body)
        assert (fetched.body, fetched.content_type) == (b"version: 1.0.0", "application/yaml")
        assert fetched.charset == "utf-8"
        for got in receiver.got:
            assert (got.method, got.body) == ("GET" if body is None else "POST", body or b"")
            assert got.headers["Authorization"] == "Basic dXNlcjpwYXNz"
            for name, value in signer.request_headers(receiver.url(got.path), got.body).items():
                assert got.headers[name] == value
        assert [got.path for got in receiver.got] == ["/old", "/new?a=1"]

    async def test_what_a_call_is_told_of_goes_to_no_other_host(
        self, receiver_at: OpenReceiver, fetcher_for: Any
    ) -> None:
        first, second = await receiver_at(), await receiver_at("127.0.0.2")
        fetcher = fetcher_for([LOOPBACK])
        for status in (302, 307):
            first.answer = self.to(second.url(), status)
            with pytest.raises(FetchFailed, match="redirects to another host"):
                await ask(fetcher, first.url())
        assert second.connections == 0
        same = await receiver_at("127.0.0.2")
        same.answer = self.to(second.url(), 308)
        await ask(fetcher, same.url())
        assert second.got[0].body == b"{}"

    async def test_a_callback_is_not_redirected(self, receiver_at: OpenReceiver) -> None:
        first, second = await receiver_at(), await receiver_at()
        first.answer = self.to(second.url(), 307)
        guard = OutboundGuard([LOOPBACK])
        poster = Poster(guard)
        reply = await poster.post(Target.parse(first.url()), b"{}", lambda target: {}, 3)
        await poster.close()
        await guard.close()
        assert reply.status == 307
        assert second.connections == 0

    def test_https_does_not_lead_to_http(self) -> None:
        with pytest.raises(BadUrl, match="https to http"):
            Target.parse("https://a.example/").follow("http://a.example/")


class TestBodies:
    @pytest.mark.parametrize("announced", [True, False])
    async def test_more_than_allowed_is_refused(
        self, receiver: Any, fetcher_for: Any, announced: bool
    ) -> None:
        async def large(_got: Any) -> web.Response:
            response = web.Response(body=b"x" * 200_001)
            if not announced:
                response.enable_chunked_encoding()
            return response

        receiver.answer = large
        fetcher = fetcher_for([LOOPBACK])
        with pytest.raises(FetchFailed) as raised:
            await get(fetcher, receiver.url(), max_bytes=200_000)
        assert raised.value.status == 413
        assert len((await get(fetcher, receiver.url(), max_bytes=200_001)).body) == 200_001

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP, gzip"])
    async def test_a_decompression_bomb_is_not_unpacked(
        self, receiver: Any, fetcher_for: Any, encoding: str
    ) -> None:
        bomb = gzip.compress(bytes(20_000_000))

        async def answer(_got: Any) -> web.Response:
            return web.Response(body=bomb, headers={"Content-Encoding": encoding})

        receiver.answer = answer
        with pytest.raises(FetchFailed) as raised:
            await get(fetcher_for([LOOPBACK]), receiver.url(), max_bytes=1_000_000)
        assert raised.value.status == 415

    async def test_one_limit_of_time_holds_over_everything(
        self, receiver: Any, fetcher_for: Any
    ) -> None:
        async def dribble(_got: Any) -> web.Response:
            async def drops() -> Any:
                while True:
                    yield b"x"
                    await asyncio.sleep(0.05)

            return web.Response(body=drops())

        receiver.answer = dribble
        began = asyncio.get_running_loop().time()
        with pytest.raises(FetchFailed) as raised:
            await get(fetcher_for([LOOPBACK]), receiver.url(), seconds=0.4)
        assert raised.value.status == 504
        assert asyncio.get_running_loop().time() - began < 2

    @pytest.mark.parametrize("status", [204 + 200, 500, 304, 100 + 99])
    async def test_what_is_no_success_is_a_failure(
        self, receiver: Any, fetcher_for: Any, status: int
    ) -> None:
        async def answer(_got: Any) -> web.Response:
            return web.Response(status=status)

        receiver.answer = answer
        with pytest.raises(FetchFailed):
            await get(fetcher_for([LOOPBACK]), receiver.url(), seconds=1)


async def test_failures_are_one_sentence_without_path_query_or_password(fetcher_for: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fetcher = fetcher_for([LOOPBACK])
    with pytest.raises(FetchFailed) as raised:
        await get(fetcher, f"http://user:secret1@127.0.0.1:{port}/secret2?secret3#secret4")
    assert raised.value.status == 502
    assert raised.value.reason.startswith("127.0.0.1 cannot be reached")
    assert "secret" not in str(raised.value)


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


async def test_a_server_that_cannot_prove_its_name_is_told_nothing(
    receiver_at: OpenReceiver, fetcher_for: Any, self_signed: ssl.SSLContext
) -> None:
    receiver = await receiver_at(ssl=self_signed)
    url = receiver.url().replace("http:", "https:")
    with pytest.raises(FetchFailed, match="cannot be trusted"):
        await ask(fetcher_for([LOOPBACK]), url)
    assert receiver.got == []


async def test_networks_that_one_may_reach_are_no_way_for_another(
    receiver: Any, fetcher_for: Any
) -> None:
    """Also not over a connection that is still open, nor by a name that was looked up for it."""
    lookup = answers(["127.0.0.1"])
    fetcher = fetcher_for([], lookup)
    url = f"http://name.example:{receiver.port}/"
    for _ in range(2):
        await ask(fetcher, url, allow=(LOOPBACK,))
    assert (receiver.connections, len(receiver.got)) == (1, 2)
    for allow in (None, (), (PUBLIC,)):
        with pytest.raises(FetchFailed) as raised:
            await ask(fetcher, url, allow=allow)
        assert raised.value.status == 403
    with pytest.raises(FetchFailed):
        await get(fetcher, url)
    assert len(receiver.got) == 2


async def test_a_place_of_its_own_takes_the_place_of_what_all_may_reach(
    receiver: Any, fetcher_for: Any
) -> None:
    fetcher = fetcher_for([LOOPBACK])
    await ask(fetcher, receiver.url())
    with pytest.raises(FetchFailed):
        await ask(fetcher, receiver.url(), allow=())
    assert len(receiver.got) == 1


async def test_environment_proxies_and_cookies_are_not_used(
    receiver: Any, fetcher_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")

    async def answer(_got: Any) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b"})

    receiver.answer = answer
    fetcher = fetcher_for([LOOPBACK])
    for _ in range(2):
        await get(fetcher, receiver.url())
    assert all("Cookie" not in got.headers for got in receiver.got)


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        ("https://example.ngrok.io/webhook", "https://example.ngrok.io/webhook"),
        ("https://u:p@h.example/x?a=1&b=%20+#top", "https://h.example/x?a=1&b=%20+"),
        ("https://H.Example:443/%7euser", "https://h.example/%7euser"),
        ("http://h.example:80", "http://h.example/"),
        ("http://h.example:8080/a//b/../c", "http://h.example:8080/a//b/../c"),
        ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://bücher.example/ü?ü", "http://xn--bcher-kva.example/%C3%BC?%C3%BC"),
    ],
)
def test_what_is_signed_is_the_url_the_receiver_sees(text: str, signed: str) -> None:
    assert str(Target.parse(text)) == signed


def test_user_and_password_become_basic_and_stay_out_of_repr() -> None:
    target = Target.parse("https://us%40er:p%3Ass@h.example/")
    assert target.authorization == "Basic " + base64.b64encode(b"us@er:p:ss").decode()
    assert "Basic" not in repr(target)
    with pytest.raises(BadUrl):
        Target.parse("https://a%3Ab:c@h.example/")


def test_a_refusal_is_an_os_error_so_that_every_connector_stops_at_it() -> None:
    assert issubclass(AddressRefused, OSError)
