from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mediaserver.config import PERMISSIONS, Config, HostPort, PortRange, SipListen, keys, load
from mediaserver.errors import ConfigError
from mediaserver.web import auth

ROOT = Path(__file__).resolve().parent.parent
Writer = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Writer:
    def write(text: str) -> Path:
        path = tmp_path / "server.yaml"
        path.write_text(text)
        return path

    return write


def problems_of(path: Path | None, env: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(path, env or {})
    lines = str(caught.value).splitlines()
    return {key: problem for key, _, problem in (line.partition(": ") for line in lines)}


def test_without_a_file_the_server_serves_on_loopback() -> None:
    config = load(None, {})
    assert [str(listen) for listen in config.sip.listen] == [
        "udp:127.0.0.1:5060",
        "tcp:127.0.0.1:5060",
    ]
    assert config.http.base_url == "http://127.0.0.1:8080"
    assert config.media_address == "127.0.0.1"
    assert config.outbound.allow == ()
    assert config.api_keys == ()
    assert config.route_for("anybody", "anyone") is None


def test_every_key_of_a_full_file_is_read(written: Writer, tmp_path: Path) -> None:
    (tmp_path / "voicemail.yaml").write_text("version: 1.0.0")
    config = load(
        written(
            """
sip:
  listen: [udp:0.0.0.0:5060, "tcp:[::1]:5061"]
  advertise: 192.0.2.1
rtp: {ports: 20000-20099, advertise: 192.0.2.2}
http: {listen: 0.0.0.0:80, public_url: "https://media.example.com/"}
data_dir: store
project_id: 6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f11
space_id: 6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f12
api_keys:
  - first-key
  - {key: second-key, permissions: [voice.recordings.list]}
signing_key: PSKtest1234567890abcdef
outbound: {allow: [127.0.0.0/8, 192.0.2.7, "fd00::/8"]}
routes:
  - {to: +4930123456, from: 0800, swml: voicemail.yaml, status_url: "https://app.example.com/e"}
  - {to: "*", swml: "https://app.example.com/swml"}
log: {format: json, level: debug, show_numbers: yes}
limits: {max_calls: 10, max_calls_per_second: 5, min_free_disk: 2GB}
recording: {default_max_length: 60}
callbacks: {schedule: [1, 2.5], timeout: 3}
"""
        ),
        {},
    )
    assert config.sip.listen == (SipListen("udp", "0.0.0.0", 5060), SipListen("tcp", "::1", 5061))
    assert config.rtp.ports == PortRange(20000, 20099)
    assert config.rtp.ports.pairs == 50
    assert config.media_address == "192.0.2.2"
    assert config.http.listen == HostPort("0.0.0.0", 80)
    assert config.http.base_url == "https://media.example.com"
    assert config.data_dir == tmp_path / "store"
    assert str(config.project_id).endswith("f11")
    assert [len(key.permissions) for key in config.api_keys] == [len(PERMISSIONS), 1]
    assert config.signing_key.get_secret_value() == "PSKtest1234567890abcdef"
    assert [str(net) for net in config.outbound.allow] == [
        "127.0.0.0/8",
        "192.0.2.7/32",
        "fd00::/8",
    ]
    assert config.routes[0].swml == str(tmp_path / "voicemail.yaml")
    assert config.routes[0].status_url == "https://app.example.com/e"
    assert not config.routes[0].is_url
    assert config.routes[1].is_url
    assert config.log.show_numbers
    assert config.limits.max_calls == 10
    assert config.limits.min_free_disk == 2_000_000_000
    assert config.recording.default_max_length == 60
    assert list(config.callbacks.schedule) == [1, 2.5]


def test_a_phone_number_needs_no_quotes_to_stay_a_phone_number(written: Writer) -> None:
    config = load(
        written("routes: [{to: +4930123456, from: 0123, swml: 'http://192.0.2.1/s'}]"), {}
    )
    assert config.route_for("+4930123456", "0123") is config.routes[0]
    assert config.route_for("4930123456", "0123") is None
    assert config.route_for("+4930123456", "83") is None


def test_the_first_route_that_matches_wins(written: Writer) -> None:
    config = load(
        written(
            """
routes:
  - {to: sales, from: boss, swml: "http://h/1"}
  - {to: sales, swml: "http://h/2"}
  - {to: "*", from: boss, swml: "http://h/3"}
  - {to: "*", swml: "http://h/4"}
"""
        ),
        {},
    )
    calls = [("sales", "boss"), ("sales", "x"), ("y", "boss"), ("y", "x")]
    assert [config.route_for(*call) for call in calls] == list(config.routes)


def test_what_is_wrong_with_a_variable_is_told_with_its_name(written: Writer) -> None:
    path = written("sip: {listen: ['udp:127.0.0.1:5060']}\nrtp: {ports: 7}\n")
    env = {
        "MEDIASERVER_SIP__LISTEN": "udp:127.0.0.1",
        "mediaserver_limits__max_calls": "many",
        "MEDIASERVER_ROUTES": "[{to: a, swml: gone.yaml, colour: red}]",
        "MEDIASERVER_LOG__LEVEL": "info",
    }
    assert list(problems_of(path, env)) == [
        "sip.listen[0] (MEDIASERVER_SIP__LISTEN)",
        "rtp.ports",
        "routes[0].colour (MEDIASERVER_ROUTES)",
        "limits.max_calls (mediaserver_limits__max_calls)",
    ]


def test_the_environment_wins_over_the_file(written: Writer) -> None:
    config = load(
        written("sip: {listen: [udp:127.0.0.1:5060], advertise: 192.0.2.1}\nlog: {level: info}"),
        {
            "MEDIASERVER_SIP__LISTEN": "udp:127.0.0.1:0, tcp:127.0.0.1:0",
            "mediaserver_log__level": "debug",
            "MEDIASERVER_API_KEYS": "[one, {key: two, permissions: [voice.recordings.get]}]",
            "MEDIASERVER_CALLBACKS__SCHEDULE": "1,2,3",
            "MEDIASERVER_LIMITS__MAX_CALLS": "7",
            "MEDIASERVER_DATA_DIR": "elsewhere",
        },
    )
    assert [listen.transport for listen in config.sip.listen] == ["udp", "tcp"]
    assert config.sip.advertise == "192.0.2.1"
    assert config.log.level == "debug"
    assert [key.key.get_secret_value() for key in config.api_keys] == ["one", "two"]
    assert list(config.callbacks.schedule) == [1, 2, 3]
    assert config.limits.max_calls == 7
    assert config.data_dir == Path("elsewhere")


def test_the_number_of_calls_can_be_left_to_the_server(written: Writer) -> None:
    limits = load(written("limits: {max_calls: auto, max_tick_lateness: 0.02}"), {}).limits
    assert limits.max_calls is None
    assert limits.max_tick_lateness == 0.02
    assert limits.calls(pairs=50) == 50
    assert load(written("limits: {max_calls: 7}"), {}).limits.calls(pairs=50) == 7
    assert load(None, {"MEDIASERVER_LIMITS__MAX_CALLS": "auto"}).limits.max_calls is None


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("many", "must be a whole number, or auto"),
        ("1.5", "must be a whole number, or auto"),
        ("-1", "must be 1 or more"),
        ("100001", "must be 100000 or less"),
    ],
)
def test_a_number_of_calls_that_makes_no_sense_is_refused(
    written: Writer, number: str, problem: str
) -> None:
    assert problems_of(written(f"limits: {{max_calls: {number}}}"))["limits.max_calls"] == problem


def test_every_problem_is_listed_with_its_key(written: Writer) -> None:
    found = problems_of(
        written(
            """
sip: {listen: [udp:127.0.0.1], advertis: x}
rtp: {ports: 10001-20000}
project_id: mine
api_keys: [fine, {key: x, permissions: [voice.everything]}, {permissions: []}]
log: {format: xml, show_numbers: perhaps}
limits: {max_calls: 0, max_calls_per_second: many}
recording: {default_max_length: .inf}
outbound: {allow: 10.0.0.1/8}
callbacks: 5
signing_key: ""
routes: [{from: x}]
spcae_id: x
"""
        )
    )
    assert found["sip.listen[0]"].startswith("must end with a port")
    assert found["sip.advertis"] == "is no setting; did you mean sip.advertise?"
    assert "10002-19999" in found["rtp.ports"]
    assert "UUID" in found["project_id"]
    assert "voice.recordings.get" in found["api_keys[1].permissions[0]"]
    assert found["api_keys[2].key"] == "must be given"
    assert "json" in found["log.format"]
    assert found["log.show_numbers"] == "must be true or false"
    assert found["limits.max_calls"] == "must be 1 or more"
    assert found["limits.max_calls_per_second"] == "must be a whole number"
    assert found["recording.default_max_length"] == "must be a number, without a unit"
    assert "10.0.0.0/8 instead" in found["outbound.allow[0]"]
    assert found["callbacks"] == "must be keys and values; known here: schedule, timeout"
    assert found["signing_key"] == "must not be empty"
    assert found["routes[0].to"] == found["routes[0].swml"] == "must be given"
    assert found["spcae_id"] == "is no setting; did you mean space_id?"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sip: {listen: []}", "sip.listen"),
        ("sip: {listen: [ws:127.0.0.1:5061]}", "sip.listen[0]"),
        ("sip: {listen: ['udp:::1:5060']}", "sip.listen[0]"),
        ("sip: {listen: [udp:example.com:5060]}", "sip.listen[0]"),
        ("sip: {listen: [udp:127.0.0.1:65536]}", "sip.listen[0]"),
        ("sip: {advertise: '192.0.2.1:5060'}", "sip.advertise"),
        ("sip: {advertise: 0.0.0.0}", "sip.advertise"),
        ("rtp: {ports: 10000}", "rtp.ports"),
        ("rtp: {ports: 20000-10001}", "rtp.ports"),
        ("rtp: {ports: 100-201}", "rtp.ports"),
        ("rtp: {ports: 65000-70001}", "rtp.ports"),
        ("rtp: {advertise: media.example.com}", "rtp.advertise"),
        ("http: {listen: 8080}", "http.listen"),
        ("http: {public_url: media.example.com}", "http.public_url"),
        ("http: {public_url: 'https://h/?x=1'}", "http.public_url"),
        ("outbound: {allow: [everything]}", "outbound.allow[0]"),
        ("routes: [{to: '*', swml: no-such-file.yaml}]", "routes[0].swml"),
        (
            "routes: [{to: a, swml: 'http://h', status_url: 'ftp://h'}]",
            "routes[0].status_url",
        ),
        ("callbacks: {schedule: [-1]}", "callbacks.schedule[0]"),
        ("recording: {render_timeout: 0}", "recording.render_timeout"),
        ("recording: {retention: 0}", "recording.retention"),
        ("limits: {min_free_disk: -1}", "limits.min_free_disk"),
        ("limits: {min_free_disk: 5%}", "limits.min_free_disk"),
        ("limits: {min_free_disk: 1.5GB}", "limits.min_free_disk"),
        ("limits: {min_free_disk: 99999999999999TiB}", "limits.min_free_disk"),
        ("enfonica_signing_key: c2hvcnQ=", "enfonica_signing_key"),
        ("enfonica_signing_key: 'no base64 at all'", "enfonica_signing_key"),
        ("enfonica_signing_key: [AAAA]", "enfonica_signing_key"),
        (
            "routes: [{to: a, swml: 'http://h', recording: {ready_uri: 'ftp://h'}}]",
            "routes[0].recording.ready_uri",
        ),
        (
            f"routes: [{{to: a, swml: 'http://h', status_url: 'http://h/{'x' * 9000}'}}]",
            "routes[0].status_url",
        ),
        ("_env_file: x", "_env_file"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(written: Writer, text: str, key: str) -> None:
    assert list(problems_of(written(text))) == [key]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sip:\n\tadvertise: a.example\n", "line 2: .*a tab; indent with spaces"),
        ("sip:\n  advertise: a\n   listen: x\n", "line 3: .*check the indentation"),
        ("log: {}\nsigning_key: 'abc\nsip: {}\n", "line 2: .*a quote is not closed"),
        ("signing_key: @abc\n", "line 1: .*begins with @ must be in quotes"),
        ("routes: [{to: *, swml: x}]\n", "line 1: .*begins with \\* or & must be in quotes"),
        ("routes: [{to: *all, swml: x}]\n", "line 1: .*begins with \\* or & must be in quotes"),
        ("routes: [{to: a, swml: x]\n", "line 1: .*a bracket is not closed"),
        ("sip: {}\n---\nhttp: {}\n", "line 2: .*one document alone"),
        ("a: b\n- c\n", "line 2: .*check the indentation"),
    ],
)
def test_what_is_no_yaml_is_told_with_what_may_be_meant(
    written: Writer, text: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=f"is not YAML: {told}"):
        load(written(text), {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("routes: {to: a, swml: x.yaml}", "must be a list: entries that begin with `- `"),
        ("routes: [x.yaml]", "must be keys and values; known here: to, from, swml, "),
        ("api_keys: '{key: a}'", "must be a list"),
        ("recording: {retention: 30d}", "must be a number, without a unit"),
        ("http: {listen: 8080}", "must be an address and a port, as in 127.0.0.1:8080"),
        ("http: {public_url: media.example.com}", "such as https://media.example.com"),
    ],
)
def test_a_wrong_shape_is_told_with_the_right_one(written: Writer, text: str, told: str) -> None:
    ((_, problem),) = problems_of(written(text)).items()
    assert told in problem


def test_an_address_is_listened_on_once(written: Writer) -> None:
    twice = "sip: {listen: ['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060', 'udp:localhost:5060']}"
    assert list(problems_of(written(twice))) == ["sip.listen[2]"]
    assert load(written("sip: {listen: ['udp:127.0.0.1:0', 'udp:127.0.0.1:0']}"), {}).sip.listen


def test_a_variable_that_names_the_file_is_told_how_it_is_named() -> None:
    assert "--config" in problems_of(None, {"MEDIASERVER_CONFIG": "x.yaml"})["MEDIASERVER_CONFIG"]


def test_listening_everywhere_needs_an_address_to_tell(written: Writer) -> None:
    found = problems_of(written("sip: {listen: [udp:0.0.0.0:5060]}\nhttp: {listen: '[::]:8080'}"))
    assert list(found) == ["sip.advertise", "http.public_url"]
    named = written("sip: {listen: [udp:0.0.0.0:5060], advertise: sip.example.com}")
    assert list(problems_of(named)) == ["rtp.advertise"]


def test_what_was_written_as_a_secret_is_not_in_an_error_or_a_repr(written: Writer) -> None:
    path = written(
        """
api_keys: [hush-api, {key: hush-limited, permissions: [hush-permission]}]
signing_key: [hush-signing]
enfonica_signing_key: hush
routes:
  - to: "*"
    swml: "ftp://u:hush-url@h"
    status_url: "u:hush-status@h"
    recording: {ready_uri: "u:hush-ready@h"}
"""
    )
    assert "hush" not in str(problems_of(path))
    key = base64.b64encode(b"hush" * 16).decode()
    good = written(
        f"""
api_keys: [hush-api]
signing_key: hush-signing
enfonica_signing_key: {key}
routes:
  - to: "*"
    swml: "https://u:hush-url@h/s"
    status_url: "https://u:hush-status@h/e"
    recording:
      ready_uri: "https://u:hush-ready@h/r"
"""
    )
    shown = repr(load(good, {}))
    assert "hush" not in shown
    assert key not in shown
    assert "hush" not in str(problems_of(written("signing_key: hush\napi_keys: [hush\n")))


def test_a_variable_that_was_meant_for_us_is_not_ignored() -> None:
    found = problems_of(
        None,
        {
            "MEDIASERVER_SIP__LISTN": "x",
            "MEDIASERVER_PROJEKT_ID": "x",
            "MEDIASERVER_SIP": "x",
            "MEDIASERVER_WARP__SPEED": "9",
        },
    )
    assert found["MEDIASERVER_SIP__LISTN"].endswith("did you mean MEDIASERVER_SIP__LISTEN?")
    assert found["MEDIASERVER_PROJEKT_ID"].endswith("did you mean MEDIASERVER_PROJECT_ID?")
    assert "MEDIASERVER_SIP__" in found["MEDIASERVER_SIP"]
    assert found["MEDIASERVER_WARP__SPEED"] == "is no setting"


def test_variables_that_kubernetes_sets_beside_a_service_are_ignored() -> None:
    load(
        None,
        {
            "MEDIASERVER_PORT": "tcp://10.0.0.1:8080",
            "MEDIASERVER_SERVICE_HOST": "10.0.0.1",
            "MEDIASERVER_PORT_8080_TCP_ADDR": "10.0.0.1",
        },
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "line 2: a is given twice"),
        ("a: [", "line 1"),
        ("- a", "must hold keys and values"),
        ("? [a]\n: b", "not YAML"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused(
    written: Writer, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(written(text), {})


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "binary.yaml", {})


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("500MB", 500_000_000), ("1 GiB", 1 << 30), ("3kib", 3072)],
)
def test_a_size_has_a_unit_or_is_in_bytes(written: Writer, text: str, size: int) -> None:
    assert load(written(f"limits: {{min_free_disk: {text}}}"), {}).limits.min_free_disk == size


def test_an_empty_value_leaves_the_default(written: Writer) -> None:
    config = load(written("sip:\nrtp:\n  ports:\nsigning_key: null\ndata_dir: ~\n"), {})
    assert config.sip == Config().sip
    assert config.rtp == Config().rtp
    assert load(written("# nothing\n"), {}).data_dir == Path("data")


def test_enfonicas_key_is_the_octets_behind_its_base64(written: Writer) -> None:
    text = base64.encodebytes(bytes(range(64))).decode()
    for config in (
        load(written(f"enfonica_signing_key: {text.replace(chr(10), '')}"), {}),
        # In two lines, as openssl prints it.
        load(None, {"MEDIASERVER_ENFONICA_SIGNING_KEY": text}),
    ):
        assert config.enfonica_signing_key is not None
        assert config.enfonica_signing_key.get_secret_value() == bytes(range(64))
    assert load(None, {}).enfonica_signing_key is None


def test_a_server_without_a_signing_key_makes_one_for_itself() -> None:
    first, second = Config().signing_key, Config().signing_key
    assert first != second
    assert len(first.get_secret_value()) >= 32


@pytest.mark.parametrize("name", ["development", "production"])
def test_the_files_in_config_are_valid(name: str) -> None:
    config = load(ROOT / "config" / f"{name}.yaml", {})
    assert config.routes
    loopback = [str(net) for net in config.outbound.allow]
    assert loopback == (["127.0.0.0/8", "::1/128"] if name == "development" else [])


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    documented = re.findall(r"^\| `([a-z_.\[\]]+)` \|", text, re.MULTILINE)
    assert sorted(documented) == sorted(keys())


def test_the_permissions_of_the_settings_are_those_the_api_knows() -> None:
    assert PERMISSIONS == auth.PERMISSIONS


ROUTED = "routes: [{to: a, swml: 'https://app.example.com/s', %s}]"


def test_a_route_says_how_its_script_is_had(written: Writer, tmp_path: Path) -> None:
    (tmp_path / "sorry.yaml").write_text("version: 1.0.0")
    (route,) = load(
        written(
            ROUTED
            % "method: get, fallback_url: 'https://u:p@spare.example.com/s', fallback_method: GET, "
            "timeout: 2.5, on_failure: sorry.yaml, allow: [10.1.2.0/24]"
        ),
        {},
    ).routes
    assert (route.method, route.fallback_method, route.timeout) == ("GET", "GET", 2.5)
    assert route.fallback_url == "https://u:p@spare.example.com/s"
    assert (route.apology, route.refusal) == (tmp_path / "sorry.yaml", None)
    assert route.allow is not None
    assert [str(network) for network in route.allow] == ["10.1.2.0/24"]
    assert "u:p" not in repr(route)


def test_a_route_that_says_nothing_asks_by_post_and_is_busy_without_a_script(
    written: Writer,
) -> None:
    (route,) = load(written(ROUTED % "timeout: 5"), {}).routes
    assert (route.method, route.fallback_url, route.timeout) == ("POST", None, 5.0)
    assert (route.apology, route.refusal, route.allow) == (None, 486, None)
    (route,) = load(written(ROUTED % "on_failure: unavailable, allow: []"), {}).routes
    assert (route.refusal, route.allow) == (503, ())


@pytest.mark.parametrize(
    ("setting", "key", "problem"),
    [
        ("method: PUT", "method", "must be 'POST' or 'GET'"),
        ("fallback_url: spare.yaml", "fallback_url", "must be an absolute URL"),
        ("fallback_method: GET", "fallback_method", "has no meaning without routes[0].fallback"),
        ("timeout: 0", "timeout", "must be more than 0"),
        ("timeout: 31", "timeout", "must be 30 or less"),
        ("timeout: .nan", "timeout", "must be"),
        ("on_failure: gone.yaml", "on_failure", "must be busy, unavailable or a file that exists"),
        ("allow: [everything]", "allow[0]", "must be a network"),
        ("fallback: x", "fallback", "did you mean routes[0].fallback_url?"),
    ],
)
def test_a_route_that_cannot_be_is_refused(
    written: Writer, setting: str, key: str, problem: str
) -> None:
    found = problems_of(written(ROUTED % setting))
    assert list(found) == [f"routes[0].{key}"]
    assert problem in found[f"routes[0].{key}"]


def test_a_url_that_is_none_is_refused_without_being_repeated(written: Writer) -> None:
    found = problems_of(written("routes: [{to: a, swml: 'https://hush@:99999/'}]"))
    assert found["routes[0].swml"] == "must be an absolute URL such as https://example.com/hook"


def test_what_concerns_a_url_has_no_meaning_for_a_file(written: Writer, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1.0.0")
    found = problems_of(
        written(
            "routes: [{to: a, swml: a.yaml, method: GET, timeout: 5, on_failure: busy,"
            " fallback_url: 'http://h/', allow: [10.0.0.0/8]}]"
        )
    )
    assert list(found) == [
        f"routes[0].{name}" for name in ("method", "fallback_url", "timeout", "on_failure")
    ]
    assert set(found.values()) == {"has no meaning, for routes[0].swml is a file"}


def test_the_first_trunk_that_takes_a_number_is_called(written: Writer) -> None:
    config = load(
        written(
            """
trunks:
  - {numbers: "+4930123", uri: "sip:192.0.2.20", from: "sip:desk@example.com"}
  - {numbers: "+49*", uri: "sip:SBC.example.com;transport=tcp", username: u, password: hush}
  - {numbers: "*", uri: "sip:[2001:DB8::1]:5080", from: "+4930999"}
sip: {listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:5060, "udp:[::1]:5060"]}
"""
        ),
        {},
    )
    numbers = ("+4930123", "+49301234", "+4930", "+1", "0", "")
    found = [config.trunk_for(number) for number in numbers]
    assert [None if trunk is None else config.trunks.index(trunk) for trunk in found] == [
        *(0, 1, 1, 2, 2, 2)
    ]
    exact, german, others = config.trunks
    assert [str(trunk.uri) for trunk in config.trunks] == [
        "sip:192.0.2.20",
        "sip:sbc.example.com;transport=tcp",
        "sip:[2001:db8::1]:5080",
    ]
    assert (exact.from_, others.from_) == ("sip:desk@example.com", "+4930999")
    assert german.password is not None
    assert german.password.get_secret_value() == "hush"
    assert "hush" not in repr(config)
    assert Config().trunk_for("+49") is None


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("{uri: 'sip:h'}", "trunks[0].numbers"),
        ("{numbers: '*'}", "trunks[0].uri"),
        ("{numbers: '', uri: 'sip:h'}", "trunks[0].numbers"),
        ("{numbers: '+49 30', uri: 'sip:h'}", "trunks[0].numbers"),
        ("{numbers: sales, uri: 'sip:h'}", "trunks[0].numbers"),
        ("{numbers: '*', uri: 'h:5060'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sips:h;transport=udp'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:user@h'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h:0'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h:65536'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h;transport=tls'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h;lr;transport=udp'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h h'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h?a=b'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:[::1]'}", "trunks[0].uri"),
        ("{numbers: '*', uri: 'sip:h', username: u}", "trunks[0].password"),
        ("{numbers: '*', uri: 'sip:h', password: p}", "trunks[0].username"),
        ("{numbers: '*', uri: 'sip:h', username: u, password: \"a\\nb\"}", "trunks[0].password"),
        ("{numbers: '*', uri: 'sip:h', from: 'a b'}", "trunks[0].from"),
        ("{numbers: '*', uri: 'sip:h', from: 'sip:<x>@h'}", "trunks[0].from"),
        ("{numbers: '+4*', uri: 'sip:h'}, {numbers: '+49*', uri: 'sip:g'}", "trunks[1].numbers"),
        ("{numbers: '*', uri: 'sip:h'}, {numbers: '0', uri: 'sip:g'}", "trunks[1].numbers"),
        ("{numbers: '0', uri: 'sip:h'}, {numbers: '0', uri: 'sip:g'}", "trunks[1].numbers"),
    ],
)
def test_a_trunk_that_cannot_be_is_refused(written: Writer, setting: str, key: str) -> None:
    assert list(problems_of(written(f"trunks: [{setting}]"))) == [key]


def test_a_trunk_needs_a_socket_that_leads_there(written: Writer) -> None:
    settings = "sip: {listen: [udp:127.0.0.1:5060]}\ntrunks: [{numbers: '*', uri: 'sip:h%s'}]"
    assert load(written(settings % ""), {}).trunks
    found = problems_of(written(settings % ";transport=tcp"))
    assert found["trunks[0].uri"] == (
        "cannot be reached from sip.listen, which has udp:127.0.0.1:5060 alone"
    )
