"""What the settings of TLS must be, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from farend.certificates import Authority
from mediaserver.config import load
from mediaserver.config.remarks import remarks
from mediaserver.errors import ConfigError

LISTEN = "listen: [udp:127.0.0.1:5060, tls:127.0.0.1:5061]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    authority.vouch("good")
    authority.vouch("other")
    authority.vouch("old", days=-3.0)
    authority.vouch("soon", days=3.0)
    (tmp_path / "text").write_text("no PEM")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def noted(folder: Path, text: str) -> dict[str, str]:
    return dict(remarks(load(written(folder, text), {})))


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    tls = "{certificate: good.crt, key: good.key, ca: authority.pem, client_ca: authority.pem}"
    trunk = "{numbers: '*', uri: 'sips:trunk.example', tls_ca: authority.pem}"
    config = load(written(folder, f"sip: {{{LISTEN}, tls: {tls}}}\ntrunks: [{trunk}]"), {})
    assert config.sip.tls.certificate == folder / "good.crt"
    assert config.trunks[0].tls_ca == folder / "authority.pem"
    assert str(config.trunks[0].uri) == "sips:trunk.example"
    assert not list(remarks(config))


def test_the_environment_can_name_the_files_too(folder: Path) -> None:
    env = {
        "MEDIASERVER_SIP__LISTEN": "tls:127.0.0.1:5061",
        "MEDIASERVER_SIP__TLS__CERTIFICATE": str(folder / "good.crt"),
        "MEDIASERVER_SIP__TLS__KEY": str(folder / "good.key"),
    }
    assert load(None, env).sip.tls.key == folder / "good.key"


@pytest.mark.parametrize(
    ("tls", "key", "problem"),
    [
        ("{key: good.key}", "sip.tls.certificate", "must be given"),
        ("{certificate: good.crt}", "sip.tls.key", "must be given"),
        ("{certificate: none, key: good.key}", "sip.tls.certificate", "No such file"),
        ("{certificate: text, key: good.key}", "sip.tls.certificate", "certificates in PEM"),
        ("{certificate: good.crt, key: text}", "sip.tls.key", "a private key in PEM"),
        ("{certificate: good.crt, key: other.key}", "sip.tls.key", "is that of another"),
        ("{certificate: good.crt, key: good.key, ca: text}", "sip.tls.ca", "certificates in PEM"),
    ],
)
def test_files_that_will_not_do_are_told_by_their_key(
    folder: Path, tls: str, key: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as raised:
        load(written(folder, f"sip: {{{LISTEN}, tls: {tls}}}"), {})
    assert raised.value.key == key


@pytest.mark.parametrize(("name", "said"), [("old", "expired on"), ("soon", "expires soon")])
def test_a_certificate_that_ends_is_worth_a_remark(folder: Path, name: str, said: str) -> None:
    tls = f"{{certificate: {name}.crt, key: {name}.key}}"
    assert said in noted(folder, f"sip: {{{LISTEN}, tls: {tls}}}")["sip.tls.certificate"]


def test_a_trunk_over_tls_needs_an_address_of_ours_and_one_authority_a_host(folder: Path) -> None:
    trunks = "trunks: [{numbers: '*', uri: 'sip:192.0.2.1;transport=tls'}]"
    with pytest.raises(ConfigError, match="cannot be reached from"):
        load(written(folder, trunks), {})
    trunks = (
        "trunks: [{numbers: '1', uri: 'sip:t', tls_ca: authority.pem}, "
        "{numbers: '2', uri: 'sip:t', tls_ca: good.crt}]"
    )
    with pytest.raises(ConfigError, match="has the same host"):
        load(written(folder, trunks), {})


def test_encryption_without_tls_is_worth_a_remark(folder: Path) -> None:
    trunk = "trunks: [{numbers: '*', uri: 'sip:192.0.2.1', encryption: required}]"
    found = noted(folder, f"rtp: {{encryption: required}}\n{trunk}")
    assert "network in clear" in found["rtp.encryption"]
    assert "network in clear" in found["trunks[0].encryption"]
    tls = "tls: {certificate: good.crt, key: good.key}"
    found = noted(folder, f"sip: {{{LISTEN}, {tls}}}\ntrunks: "
                  "[{numbers: '*', uri: 'sip:t;transport=udp', encryption: required}]")  # fmt: skip
    assert "is not TLS" in found["trunks[0].uri"]
    assert "is not used" in noted(folder, f"sip: {{{tls}}}")["sip.tls.key"]
