"""Answers to digest challenges (RFC 7616, RFC 2617, RFC 2069), and what is no challenge."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediaserver.sip.digest import MAX_PARAM, Challenge, Credentials, choose

RFC7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MUFASA = Credentials("Mufasa", "Circle of Life")
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def answered(value: str) -> dict[str, str]:
    """The parameters of an Authorization, quotes left on."""
    assert value.startswith("Digest ")
    return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^,\s]+)', value))


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = Challenge.parse(RFC7616.format(algorithm))
    assert challenge is not None
    value = challenge.answer(MUFASA, "GET", "/dir/index.html", count=1, cnonce=CNONCE)
    fields = answered(value)
    assert fields["response"] == f'"{response}"'
    assert (fields["qop"], fields["nc"], fields["algorithm"]) == ("auth", "00000001", algorithm)
    assert fields["opaque"] == '"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    assert fields["uri"] == '"/dir/index.html"'


def test_sha_512_256_and_a_name_beyond_ascii() -> None:
    # RFC 7616 3.9.2, as its erratum 4897 puts it right.
    challenge = Challenge.parse(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    assert challenge is not None
    value = challenge.answer(
        Credentials("J\xe4s\xf8n Doe", "Secret, or not?"),
        "GET",
        "/doe.json",
        count=1,
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    assert answered(value)["response"] == (
        '"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"'
    )


def test_without_qop_there_is_no_count() -> None:
    challenge = Challenge.parse(
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    )
    assert challenge is not None
    value = challenge.answer(
        Credentials("Mufasa", "Circle Of Life"), "GET", "/dir/index.html", count=1, cnonce="x"
    )
    fields = answered(value)
    assert fields["response"] == '"670fd8c2df070c60b045671b8b24ff02"'
    assert fields.keys().isdisjoint(("qop", "nc", "cnonce", "algorithm", "opaque"))


def test_a_session_key_is_made_of_the_nonces() -> None:
    challenge = Challenge.parse('Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess')
    assert challenge is not None
    value = challenge.answer(Credentials("u", "p"), "INVITE", "sip:x@y", count=0x2A, cnonce="c")

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret = md5(f"{md5('u:r:p')}:n:c")
    expected = md5(f"{secret}:n:0000002a:c:auth:{md5('INVITE:sip:x@y')}")
    assert answered(value)["response"] == f'"{expected}"'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce="n", algorithm=SHA3-256',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        'Digest realm="r", realm="s", nonce="n"',
        'Digest realm="r", nonce="n',
        'Digest realm="r" nonce="n"',
        'Digest realm="r", nonce=a b',
        'Digest realm="r", nonce="n", opaque="' + "x" * (MAX_PARAM + 1) + '"',
        'Digest realm="r", nonce="n"' + ", a=b" * 40,
        'Digest realm="r\0", nonce="n"',
    ],
)
def test_what_cannot_be_answered_is_no_challenge(value: str) -> None:
    assert Challenge.parse(value) is None


def test_spaces_and_empty_elements_are_allowed() -> None:
    challenge = Challenge.parse(' digest  Realm = "r" ,, NONCE="n", stale=TRUE, qop="AUTH" ')
    assert challenge == Challenge("r", "n", qop=True, stale=True)


def test_the_first_challenge_that_is_known_is_taken() -> None:
    values = [
        'Digest realm="r", nonce="1", algorithm=SHA3-512',
        'Digest realm="r", nonce="2", algorithm=SHA-256',
        'Digest realm="r", nonce="3", algorithm=MD5',
    ]
    chosen = choose(values)
    assert chosen is not None
    assert chosen.nonce == "2"
    assert choose(["Basic x"] * 100 + values) is None


@pytest.mark.parametrize(
    ("username", "password"), [("", "p"), ("a\r\nb", "p"), ("a", "p\0"), ("a" * 257, "p")]
)
def test_credentials_that_cannot_be_used_say_why(username: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"the SIP (user name|password)"):
        Credentials(username, password)


def test_a_password_is_not_shown() -> None:
    assert "hush" not in repr(Credentials("u", "hush"))


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    Challenge.parse(text)
    Challenge.parse(f"Digest {text}")
    Challenge.parse(f'Digest realm="{text}", nonce="n", qop={text}')


@settings(max_examples=60)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40),
)
def test_a_realm_and_a_nonce_come_back_as_they_were(realm: str, nonce: str) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    challenge = Challenge.parse(f"Digest realm={quoted(realm)}, nonce={quoted(nonce)}")
    assert challenge == Challenge(realm, nonce)
    value = challenge.answer(MUFASA, "BYE", "sip:x@y", count=1, cnonce="c")
    assert f"realm={quoted(realm)}, nonce={quoted(nonce)}, uri=" in value
