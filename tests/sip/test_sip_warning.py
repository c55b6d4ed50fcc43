"""The Warning header field (RFC 3261 20.43)."""

from __future__ import annotations

import pytest

from mediaserver.sip.warning import MAX_TEXT, WarningValue


def test_a_warning_reads_back_as_it_was_written() -> None:
    warning = WarningValue(305, "[2001:db8::1]", 'a "codec" \\ of none')
    assert str(warning) == '305 [2001:db8::1] "a \\"codec\\" \\\\ of none"'
    assert WarningValue.first([str(warning)]) == warning


def test_a_text_is_one_line_of_bounded_length() -> None:
    written = str(WarningValue(399, "mediaserver", "a\r\nVia: b" + "x" * 5000))
    assert "\r" not in written
    assert "\n" not in written
    assert len(written) < MAX_TEXT + 30


@pytest.mark.parametrize(
    "value", ["", "399", "399 host", "399 host text", '399 host "open', '39a host "x"', '1 h "x"']
)
def test_what_is_no_warning_is_passed_over(value: str) -> None:
    assert WarningValue.first([value]) is None
    assert WarningValue.first([value, '301 h "IPv6", 399 h "more"']) == WarningValue(
        301, "h", "IPv6"
    )
