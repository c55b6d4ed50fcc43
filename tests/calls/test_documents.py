"""Where documents come from, and what is said when they are wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mediaserver.calls import documents as sources
from mediaserver.calls.documents import DocumentRefused, Documents
from mediaserver.errors import PeerError

GOOD = b"sections: {main: [{hangup: {}}]}"


@dataclass
class Page:
    body: bytes
    content_type: str | None = "application/yaml"


class Web:
    """A web application that answers with one page."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.asked: list[dict[str, Any]] = []

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109
    ) -> Page:
        self.asked.append(json.loads(body))
        return Page(self.body)

    async def get(self, url: str, *, max_bytes: int, timeout: float) -> Page:  # noqa: ASYNC109
        raise AssertionError("documents are asked for with POST")


async def test_a_file_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FRESH", 0.0)
    path = tmp_path / "a.yaml"
    path.write_bytes(GOOD)
    documents = Documents(Web(b""))
    first = await documents.load(str(path), {})
    assert await documents.load(str(path), {}) is first
    path.write_bytes(GOOD.replace(b"hangup", b"answer"))
    second = await documents.load(str(path), {})
    assert second.sections["main"][0].method == "answer"


async def test_of_many_calls_at_once_one_looks_at_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FRESH", 60.0)
    path = tmp_path / "a.yaml"
    path.write_bytes(GOOD)
    documents = Documents(Web(b""))
    first = await documents.load(str(path), {})
    path.unlink()
    assert await documents.load(str(path), {}) is first


async def test_a_web_application_is_sent_the_call_and_may_name_no_files() -> None:
    web = Web(b'{"sections":{"main":[{"play":{"url":"/etc/passwd"}}]}}')
    with pytest.raises(DocumentRefused) as refused:
        await Documents(web).load("http://app/swml", {"call": {"call_id": "c"}})
    assert refused.value.error.path == "sections.main[0].play.url"
    assert web.asked == [{"call": {"call_id": "c"}}]


async def test_a_wrong_document_says_who_wants_to_know(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "sections: {main: [{record: {bep: true, status_url: 'http://app/cb'}},"
        " {play: {url: 'silence:1', status_url: ftp://no}}]}"
    )
    with pytest.raises(DocumentRefused) as refused:
        await Documents(Web(b"")).load(str(path), {})
    assert refused.value.status_urls == ("http://app/cb",)
    assert refused.value.error.code == "relay_script_method_parameter_undefined"


@pytest.mark.parametrize("junk", [b"[", b"\xff\xfe", b'"\\UFFFFFFFF"', b"a: &a [*a]", b""])
async def test_junk_is_refused_and_nobody_is_told(junk: bytes) -> None:
    with pytest.raises(DocumentRefused) as refused:
        await Documents(Web(junk)).load("http://app/swml", {})
    assert refused.value.status_urls == ()


async def test_a_missing_file_is_said_by_name() -> None:
    with pytest.raises(PeerError, match=r"gone\.yaml"):
        await Documents(Web(b"")).load("/nowhere/gone.yaml", {})
