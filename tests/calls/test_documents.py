"""Where documents come from, and what is said when they are wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mediaserver.calls import documents as sources
from mediaserver.calls.document_source import FETCH_TIMEOUT, DocumentSource, Found, NoDocument
from mediaserver.calls.documents import DocumentRefused, Documents, origin_of
from mediaserver.errors import PeerError

GOOD = b"sections: {main: [{hangup: {}}]}"


SORRY = b"sections: {main: [{hangup: {reason: busy}}]}"
URL = "https://app.example/swml"
FALLBACK = "https://spare.example/swml"


@dataclass
class Page:
    body: bytes
    content_type: str | None = "application/yaml"
    charset: str | None = None


@dataclass
class Asked:
    url: str
    body: Any
    timeout: float
    allow: Any
    max_bytes: int


class Web:
    """Web applications that answer with pages, or not at all."""

    def __init__(self, page: bytes | Page | PeerError = b"", **by_host: Page | PeerError) -> None:
        """`by_host` goes before `page`, by the first label of the host."""
        self._page = page
        self._by_host = by_host
        self.asked: list[Asked] = []

    async def ask(
        self,
        url: str,
        *,
        body: bytes | None,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109
        allow: Any = None,
    ) -> Page:
        told = None if body is None else json.loads(body)
        self.asked.append(Asked(url, told, timeout, allow, max_bytes))
        page = self._by_host.get(url.partition("://")[2].partition(".")[0], self._page)
        if isinstance(page, PeerError):
            raise page
        return Page(page) if isinstance(page, bytes) else page

    async def get(self, url: str, *, max_bytes: int, timeout: float) -> Page:  # noqa: ASYNC109
        raise AssertionError("nobody would know that it is us")


def method_of(found: Found) -> str:
    return found.document.sections["main"][0].method


async def test_a_file_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FRESH", 0.0)
    path = tmp_path / "a.yaml"
    path.write_bytes(GOOD)
    documents, source = Documents(Web(b"")), DocumentSource(str(path))
    first = (await documents.fetch(source, {})).document
    assert (await documents.fetch(source, {})).document is first
    path.write_bytes(GOOD.replace(b"hangup", b"answer"))
    assert method_of(await documents.fetch(source, {})) == "answer"


async def test_of_many_calls_at_once_one_looks_at_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FRESH", 60.0)
    path = tmp_path / "a.yaml"
    path.write_bytes(GOOD)
    documents, source = Documents(Web(b"")), DocumentSource(str(path))
    first = (await documents.fetch(source, {})).document
    path.unlink()
    assert (await documents.fetch(source, {})).document is first
    assert documents.at_hand(source) == Found(first, tmp_path)


async def test_what_was_not_looked_at_just_now_is_not_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FRESH", 0.0)
    path = tmp_path / "a.yaml"
    path.write_bytes(GOOD)
    documents, source = Documents(Web(GOOD)), DocumentSource(str(path))
    assert documents.at_hand(source) is None
    await documents.fetch(source, {})
    assert documents.at_hand(source) is None
    await documents.fetch(DocumentSource(URL), {})
    assert documents.at_hand(DocumentSource(URL)) is None


async def test_a_web_application_is_sent_the_call_and_may_name_no_files() -> None:
    web = Web(b'{"sections":{"main":[{"play":{"url":"/etc/passwd"}}]}}')
    with pytest.raises(DocumentRefused) as refused:
        await Documents(web).load("http://app/swml", {"call": {"call_id": "c"}})
    assert refused.value.error.path == "sections.main[0].play.url"
    assert web.asked == [
        Asked("http://app/swml", {"call": {"call_id": "c"}}, FETCH_TIMEOUT, None, 1 << 20)
    ]


async def test_a_wrong_document_says_who_wants_to_know() -> None:
    wrong = (
        b"sections: {main: [{record: {bep: true, status_url: 'http://app/cb'}},"
        b" {play: {url: 'silence:1', status_url: ftp://no}}]}"
    )
    with pytest.raises(DocumentRefused) as refused:
        await Documents(Web(wrong)).load("http://app/swml", {})
    assert refused.value.status_urls == ("http://app/cb",)
    assert refused.value.error.code == "relay_script_method_parameter_undefined"


@pytest.mark.parametrize("junk", [b"[", b"\xff\xfe", b'"\\UFFFFFFFF"', b"a: &a [*a]", b""])
async def test_junk_is_refused_and_nobody_is_told(junk: bytes) -> None:
    with pytest.raises(DocumentRefused) as refused:
        await Documents(Web(junk)).load("http://app/swml", {})
    assert refused.value.status_urls == ()


async def test_a_missing_file_is_said_by_name() -> None:
    with pytest.raises(PeerError, match=r"gone\.yaml"):
        await Documents(Web(b"")).fetch(DocumentSource("/nowhere/gone.yaml"), {})


class TestSources:
    """What a route says of where its document is to be had."""

    async def test_the_application_is_asked_as_the_route_says(self) -> None:
        web = Web(GOOD)
        networks = (ip_network("10.0.0.0/8"),)
        source = DocumentSource(url=URL, timeout=2.0, allow=networks)
        found = await Documents(web).fetch(source, {"call": 1})
        assert method_of(found) == "hangup"
        assert (found.folder, found.faults) == (None, ())
        await Documents(web).fetch(DocumentSource(url=URL, method="GET"), {"call": 1})
        assert web.asked == [
            Asked(URL, {"call": 1}, 2.0, networks, 1 << 20),
            Asked(URL, None, FETCH_TIMEOUT, None, 1 << 20),
        ]

    async def test_a_scheme_in_capitals_is_one_of_a_url(self) -> None:
        web = Web(GOOD)
        await Documents(web).fetch(DocumentSource(url="HTTPS://app.example/"), {})
        await Documents(web).load("Http://app.example/", {})
        assert len(web.asked) == 2

    @pytest.mark.parametrize(
        ("page", "message"),
        [
            (PeerError(504, "app.example took longer than 5 s"), "took longer than 5 s"),
            (PeerError(502, "app.example answered 500"), "app.example answered 500"),
            (Page(b"<html>", "text/html"), "text/html"),
            (Page(b"sections: {main: []}"), "no steps"),
            (Page(b"sections: {main: [{dance: {}}]}"), "dance"),
        ],
    )
    async def test_the_spare_application_is_asked_when_the_first_has_none(
        self, page: Page | PeerError, message: str
    ) -> None:
        web = Web(app=page, spare=Page(GOOD))
        source = DocumentSource(url=URL, fallback_url=FALLBACK, fallback_method="GET")
        found = await Documents(web).fetch(source, {"call": 1})
        assert method_of(found) == "hangup"
        assert [(asked.url, asked.body) for asked in web.asked] == [
            (URL, {"call": 1}),
            (FALLBACK, None),
        ]
        (fault,) = found.faults
        assert message in fault.error.message

    async def test_a_wrong_document_is_told_to_those_in_it_though_there_is_another(self) -> None:
        wrong = Page(b"sections: {main: [{record: {bep: 1, status_url: 'http://a/cb'}}]}")
        web = Web(app=wrong, spare=Page(GOOD))
        source = DocumentSource(url=URL, fallback_url=FALLBACK)
        (fault,) = (await Documents(web).fetch(source, {})).faults
        assert fault.status_urls == ("http://a/cb",)
        assert fault.error.code == "relay_script_method_parameter_undefined"

    async def test_without_any_document_the_caller_gets_what_the_operator_decided(
        self, tmp_path: Path
    ) -> None:
        sorry = tmp_path / "sorry.yaml"
        sorry.write_bytes(SORRY)
        documents = Documents(Web(PeerError(502, "app.example answered 500")))
        with pytest.raises(NoDocument) as busy:
            await documents.fetch(DocumentSource(url=URL), {})
        assert busy.value.status == 486
        assert busy.value.reason == (
            "there is no document at https://app.example: app.example answered 500"
        )
        source = DocumentSource(url=URL, fallback_url=FALLBACK, status=503)
        with pytest.raises(NoDocument) as unavailable:
            await documents.fetch(source, {})
        assert unavailable.value.status == 503
        assert len(unavailable.value.faults) == 2
        source = DocumentSource(url=URL, fallback_url=FALLBACK, on_failure=str(sorry))
        found = await documents.fetch(source, {})
        assert found.document.sections["main"][0].params == {"reason": "busy"}
        assert found.document.allow_files
        assert found.folder == tmp_path
        assert len(found.faults) == 2

    async def test_an_apology_that_is_gone_is_one_fault_more(self, tmp_path: Path) -> None:
        documents = Documents(Web(PeerError(502, "app.example answered 500")))
        source = DocumentSource(url=URL, on_failure=str(tmp_path / "gone.yaml"))
        with pytest.raises(NoDocument, match=r"answered 500; then cannot read .*gone\.yaml"):
            await documents.fetch(source, {})

    async def test_a_file_is_no_more_than_what_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(GOOD)
        documents = Documents(Web())
        found = await documents.fetch(DocumentSource(url=str(path)), {})
        assert (method_of(found), found.folder) == ("hangup", tmp_path)
        with pytest.raises(NoDocument) as gone:
            await documents.fetch(DocumentSource(url=str(tmp_path / "b.yaml")), {})
        assert gone.value.status == 500
        path.write_bytes(b"sections: {main: [{record: {bep: 1, status_url: 'http://a/cb'}}]}")
        with pytest.raises(NoDocument) as wrong:
            await Documents(Web()).fetch(DocumentSource(url=str(path)), {})
        assert wrong.value.status == 500
        assert wrong.value.faults[0].status_urls == ("http://a/cb",)


class TestAnswers:
    @pytest.mark.parametrize(
        "kind",
        [
            "application/json",
            "application/yaml",
            "application/x-yaml",
            "text/yaml",
            "text/x-yaml",
            "text/plain",
            None,
        ],
    )
    async def test_documents_are_taken_under_the_names_they_go_by(self, kind: str | None) -> None:
        body = b'{"sections": {"main": [{"hangup": {}}]}}'
        document = await Documents(Web(Page(body, kind))).load(URL, {})
        assert document.sections["main"][0].method == "hangup"

    @pytest.mark.parametrize(
        "kind",
        ["text/html", "application/xml", "image/png", "application/octet-stream", "x" * 500, ""],
    )
    async def test_what_calls_itself_something_else_is_none(self, kind: str) -> None:
        with pytest.raises(PeerError) as refused:
            await Documents(Web(Page(GOOD, kind))).load(URL, {})
        assert refused.value.status == 415
        assert kind[:60] in refused.value.reason
        assert len(refused.value.reason) < 200

    @pytest.mark.parametrize(
        ("charset", "body"),
        [
            (None, "ä".encode()),
            ("utf-8", "ä".encode()),
            ("iso-8859-1", "ä".encode("latin-1")),
            ("us-ascii", b"\\u00e4"),
        ],
    )
    async def test_text_is_read_in_the_charset_it_names(
        self, charset: str | None, body: bytes
    ) -> None:
        text = b'sections: {main: [{set: {name: "%s"}}]}' % body
        document = await Documents(Web(Page(text, "text/yaml", charset))).load(URL, {})
        assert document.sections["main"][0].params == {"name": "ä"}

    @pytest.mark.parametrize("charset", ["utf-16", "utf-7", "idna", "hex", "ä\n" * 100])
    async def test_other_charsets_are_refused_by_name(self, charset: str) -> None:
        with pytest.raises(PeerError, match="not in UTF-8") as refused:
            await Documents(Web(Page(GOOD, "text/yaml", charset))).load(URL, {})
        assert refused.value.reason.isascii()
        assert refused.value.reason.isprintable()


@pytest.mark.parametrize(
    "variables",
    [
        {f"v{n}": "x" * 65_536 for n in range(20)},
        {"many": [[]] * 200_000},
        {"deep": {"er": {"x" * 1_100_000: 1}}},
    ],
)
async def test_more_variables_than_are_worth_telling_are_not_sent(variables: Any) -> None:
    """Making them into text would hold up every other call."""
    web = Web(GOOD)
    with pytest.raises(PeerError, match="the call's variables"):
        await Documents(web).load(URL, {"vars": variables})
    assert web.asked == []
    # Whoever is asked by GET is told nothing.
    await Documents(web).fetch(DocumentSource(url=URL, method="GET"), {"vars": variables})


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://user:pass@app.example:8443/a?b", "https://app.example"),
        ("http://[::1", "a URL that cannot be read"),
    ],
)
def test_what_is_said_of_a_url_holds_no_secret(url: str, origin: str) -> None:
    assert origin_of(url) == origin


LOOSE = b"sections: {main: [{goto: {label: nowhere}}]}"


async def test_the_log_hears_once_of_a_step_that_will_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(LOOSE)
    documents = Documents(Web(LOOSE))
    with capture_logs() as lines:
        for _ in range(2):
            await documents.fetch(DocumentSource(url=str(path)), {})
        await documents.load(URL, {})
    assert [(line["document"], line["path"]) for line in lines] == [
        (str(path), "sections.main[0].goto.label"),
        ("https://app.example", "sections.main[0].goto.label"),
    ]
    assert {line["event"] for line in lines} == {"document leads nowhere"}


async def test_files_are_looked_over_before_a_call_needs_them(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_bytes(GOOD)
    (tmp_path / "bad.yaml").write_bytes(b"sections: {main: [{dance: {}}]}")
    names = ("good", "bad", "gone")
    with capture_logs() as lines:
        await Documents(Web()).look_over((n, str(tmp_path / f"{n}.yaml")) for n in names)
    assert [(line["log_level"], line["setting"]) for line in lines] == [
        ("error", "bad"),
        ("error", "gone"),
    ]
    assert "sections.main[0].dance: there is no method" in lines[0]["error"]
    assert "No such file" in lines[1]["error"]
