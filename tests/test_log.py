from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import structlog
from pydantic import SecretStr

from mediaserver import config, log
from mediaserver.log import REDACTED, configure, mask_number


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Output:
    """A log that is being written, and what has been written so far."""

    def __init__(self, level: log.Level = "info", show_numbers: bool = False) -> None:
        self.stream = io.StringIO()
        configure(level, "json", show_numbers, self.stream)
        self.logger = structlog.get_logger("mediaserver.test")

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def last(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.text.splitlines()[-1])
        return line


def test_an_event_is_one_line_of_json_with_its_time_and_origin() -> None:
    out = Output()
    out.logger.info("call ended", seconds=12.5, lost=0, recordings=["r1"])
    assert out.text.count("\n") == 1
    line = out.last
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call ended",
        "level": "info",
        "logger": "mediaserver.test",
        "seconds": 12.5,
        "lost": 0,
        "recordings": ["r1"],
    }


@pytest.mark.parametrize("key", ["digit", "Authorization", "signing_key", "token", "password"])
def test_what_is_named_a_secret_is_never_written(key: str) -> None:
    out = Output("debug")
    out.logger.info("x", **{key: "hush7"}, headers={key: ["hush7"]}, empty={key: None})
    assert "hush7" not in out.text
    assert out.last["headers"] == {key: REDACTED}
    assert out.last["empty"] == {key: None}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hush",
        'INVITE\r\nAuthorization: Digest username="a", response="hush"\r\nTo: <sip:b@h>',
        "Proxy-Authorization: Basic hush",
        "{'Authorization': 'hush'}",
        "X-Signalwire-Signature: hush",
        "X-Signalwire-SHA256-Signature: hush",
        "webhook-signature: v1,hush",
        "sent with Bearer hush",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hush|2^20|1:4",
        "key inline:hush",
        "GET /api/v1/recordings/r1/download?expires=1&signature=hush HTTP/1.1",
        "https://example.com/hook?api_key=hush&x=1",
        "https://user:hush@example.com/hook",
        "sip:alice:hush@example.com",
        "Signal=5\r\nDuration=160",
    ],
)
@pytest.mark.parametrize("kind", [str, str.encode, ValueError])
def test_a_secret_inside_a_text_is_taken_out(text: str, kind: Any) -> None:
    out = Output()
    out.logger.info(text, detail=kind(text), nested=[{"x": kind(text)}])
    assert "hush" not in out.text
    assert "Signal=5" not in out.text
    assert "redacted" in out.text


def test_what_is_beside_a_secret_is_kept() -> None:
    out = Output()
    out.logger.info("GET /d?expires=17&signature=hush&x=1 done")
    assert out.last["event"] == f"GET /d?expires=17&signature={REDACTED}&x=1 done"
    out.logger.info("m", sdp="a=crypto:1 X inline:hush\r\na=sendrecv")
    assert out.last["sdp"] == f"a=crypto:{REDACTED}\\r\\na=sendrecv"


def test_a_traceback_is_redacted_too() -> None:
    out = Output()
    try:
        raise ValueError("Bearer hush called +4930123456")
    except ValueError:
        out.logger.exception("failed")
        logging.getLogger("aiohttp.server").exception("failed as well")
    assert "hush" not in out.text
    assert "0123456" not in out.text
    assert out.text.count("Traceback") == 2
    assert out.text.count("\n") == 2


def test_a_setting_kept_secret_by_its_type_stays_so() -> None:
    out = Output()
    out.logger.info("settings", value=SecretStr("hush"), config=config.Config())
    assert "hush" not in out.text


def test_phone_numbers_are_masked_unless_asked_for() -> None:
    masked = Output()
    event = {
        "from": "+4930123456",
        "to": 4930123456,
        "uri": "sip:+4930123456@192.0.2.1:5060;user=phone",
        "note": "4930123456 rang.",
    }
    masked.logger.info("call to +4930123456", **event)
    assert "30123456" not in masked.text
    assert masked.last["from"] == "+49******56"
    assert "192.0.2.1:5060" in masked.last["uri"]
    out = Output(show_numbers=True)
    out.logger.info("call", **event)
    assert out.text.count("4930123456") == 4


def test_a_card_number_is_masked_even_where_phone_numbers_are_shown() -> None:
    out = Output(show_numbers=True)
    out.logger.info("heard 4111111111111111 and 4111 1111 1111 1111")
    assert "41111111" not in out.text
    assert "1111 1111" not in out.text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+4930123456", "+49******56"),
        ("004930123456", "00********56"),
        ("+49 (30) 123-456", "+49 (**) ***-*56"),
        ("+1-800-555-0100.", "+1-8**-***-**00."),
        ("12345", "12*45"),
        ("1001", "1001"),
        ("alice", "alice"),
        ("", ""),
    ],
)
def test_a_number_keeps_its_ends_and_an_extension_is_kept_whole(text: str, masked: str) -> None:
    assert mask_number(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f11",
        "12345678-1234-4234-8234-123456789012",
        "2026-11-21T06:48:42.120345Z",
        "192.168.100.200:50600",
        "took 1640000000.123456 s",
        "/work/1f/00aa11.wav",
    ],
)
def test_ids_addresses_and_times_are_not_taken_for_phone_numbers(text: str) -> None:
    assert mask_number(text) == text


def test_a_peer_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    configure("info", "console", False, stream)
    structlog.get_logger("t").info("from \r\n2026 [error] forged", agent="x\u2028y\x1b[31m\x85z")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[31m" not in stream.getvalue()


def test_what_was_redacted_once_is_redacted_again_and_apart_from_others() -> None:
    out = Output("info")
    for _ in range(2):
        for number in ("+4915112345656", "+4915112345657"):
            out.logger.info("dialled", text=number)
            assert out.last["text"] == number[:3] + "*********" + number[-2:]


def test_an_id_is_written_as_it_is() -> None:
    out = Output("info")
    out.logger.info("it", id="12345678-1234-4123-8123-123456789012")
    assert out.last["id"] == "12345678-1234-4123-8123-123456789012"


def test_the_statements_of_the_database_are_not_logged_at_debug() -> None:
    out = Output("debug")
    logging.getLogger("sqlalchemy.engine.Engine").info("INSERT ... ('hush',)")
    logging.getLogger("alembic").debug("executing hush")
    assert out.text == ""


def test_the_level_holds_for_ours_and_for_libraries() -> None:
    out = Output("warning")
    out.logger.info("no")
    logging.getLogger("aiohttp.server").info("no")
    logging.getLogger("aiohttp.server").warning("yes %s", "indeed")
    assert out.last["event"] == "yes indeed"
    assert out.text.count("\n") == 1


def test_auto_means_json_where_nobody_watches() -> None:
    stream = io.StringIO()
    configure("info", "auto", False, stream)
    structlog.get_logger("t").info("x")
    assert json.loads(stream.getvalue())["event"] == "x"


def test_a_huge_or_deep_value_is_cut() -> None:
    out = Output()
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    out.logger.info("x" * 100_000, deep=deep)
    assert len(out.text) < 20_000


@pytest.mark.parametrize(
    "unit", ["a", "1", "+1 ", "sip:a:", "a=crypto:", "?key=", "Bearer  ", "://a"]
)
def test_redaction_takes_linear_time(unit: str) -> None:
    out = Output()
    started = time.perf_counter()
    out.logger.info((unit * 16_384)[: log.MAX_TEXT])
    assert time.perf_counter() - started < 0.5


def test_the_settings_are_what_the_log_takes() -> None:
    fields = config.Log.model_fields
    assert get_args(fields["level"].annotation) == get_args(log.Level)
    assert get_args(fields["format"].annotation) == get_args(log.Format)


def test_lines_of_ours_and_of_libraries_come_in_their_order() -> None:
    out = Output()
    out.logger.info("one")
    logging.getLogger("aiohttp").warning("two %s", "words")
    out.logger.error("three")
    lines = [json.loads(line) for line in out.text.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("one", "info"),
        ("two words", "warning"),
        ("three", "error"),
    ]
    assert lines[0].keys() == lines[1].keys()


def test_a_log_that_cannot_be_written_harms_nobody() -> None:
    out = Output()
    out.stream.close()
    out.logger.info("call ended")


def test_arguments_of_an_event_are_filled_in_and_redacted() -> None:
    out = Output()
    out.logger.info("sent %s to %s", "Bearer hush", "x")
    assert out.last["event"] == f"sent Bearer {REDACTED} to x"
