"""Values of a spec: what is accepted, how it is normalised, what is refused."""

import contextlib
from collections.abc import Callable
from decimal import Decimal
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as some

from generator import value
from generator.value import Duration, InvalidValueError, KubeadmApi, KubeVersion, MacAddress, NodeName, Quantity, Taint

HASH = "$6$rounds=5000$saltsalt$" + "a" * 86


@pytest.mark.parametrize("text", ["52:54:00:AB:cd:11", "52-54-00-ab-cd-11", "5254.00ab.cd11", "525400abcd11"])
def test_mac_addresses_are_normalised(text: str) -> None:
    assert MacAddress.parse(text) == "52:54:00:ab:cd:11"


@given(some.binary(min_size=6, max_size=6).filter(lambda raw: not raw[0] & 1 and any(raw)))
def test_any_unicast_mac_survives_every_notation(raw: bytes) -> None:
    colons = raw.hex(":")
    assert {MacAddress.parse(text) for text in (colons, colons.upper(), raw.hex("-"), raw.hex(), raw.hex(".", 2))} == {
        colons
    }


@pytest.mark.parametrize("text", ["m1", "worker-1.example.org", "0", "a" * 52])
def test_node_names(text: str) -> None:
    assert NodeName.parse(text) == text


@pytest.mark.parametrize(
    ("text", "api"),
    [
        ("1.20.0", KubeadmApi.V1BETA2),
        ("1.21.14", KubeadmApi.V1BETA2),
        ("1.22.0", KubeadmApi.V1BETA3),
        ("v1.30.5", KubeadmApi.V1BETA3),
        ("1.31.0", KubeadmApi.V1BETA4),
        ("1.36.1", KubeadmApi.V1BETA4),
    ],
)
def test_versions_know_their_kubeadm_configuration(text: str, api: KubeadmApi) -> None:
    assert KubeVersion.parse(text).kubeadm_api is api
    assert str(KubeVersion.parse(text)) == text.removeprefix("v")


def test_versions_are_ordered_by_number() -> None:
    assert KubeVersion.parse("1.9.10") < KubeVersion.parse("1.30.5") < KubeVersion.parse("1.30.10")
    assert KubeVersion.parse("1.30.5").release == "1.30"


@pytest.mark.parametrize(
    ("text", "seconds", "days"),
    [
        ("40s", 40, 0),
        ("1h30m", 5400, 0),
        ("36500d", 36500 * 86400, 36500),
        ("500ms", Decimal("0.5"), 0),
        ("47h", 169200, 1),
    ],
)
def test_durations(text: str, seconds: Decimal, days: int) -> None:
    assert Duration.parse(text).seconds == seconds
    assert Duration.parse(text).days == days
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "amount"),
    [("100m", Decimal("0.1")), ("256M", 256 * 10**6), ("10Gi", 10 * 2**30), ("1.5", Decimal("1.5")), ("2k", 2000)],
)
def test_quantities(text: str, amount: Decimal) -> None:
    assert Quantity.parse(text).value == amount
    assert str(Quantity.parse(text)) == text


def test_port_ranges() -> None:
    ports = value.PortRange.parse("30000-32767")
    assert 30000 in ports
    assert 32767 in ports
    assert 29999 not in ports
    assert str(ports) == "30000-32767"


@pytest.mark.parametrize("text", ["gpu=yes:NoSchedule", "gpu:NoExecute", "example.org/gpu=a:PreferNoSchedule"])
def test_taints_give_their_text_back(text: str) -> None:
    assert str(Taint.parse(text)) == text


def test_addresses_of_both_families() -> None:
    assert value.parse_address("192.168.77.11") == ip_address("192.168.77.11")
    assert value.parse_address("FD00:77::0:11") == ip_address("fd00:77::11")
    assert value.parse_network("fd00:244::/48") == ip_network("fd00:244::/48")
    assert value.parse_host("FD00::0001") == "fd00::1"
    assert value.parse_host("lb.example.org") == "lb.example.org"


def test_urls_lose_an_empty_path_only() -> None:
    assert value.parse_https_url("https://192.168.77.2:8443/") == "https://192.168.77.2:8443"
    assert value.parse_url("https://mirror.example.org/a/") == "https://mirror.example.org/a/"
    assert value.parse_url("https://[fd00::2]:8443") == "https://[fd00::2]:8443"


def test_hashes_and_ids() -> None:
    assert value.parse_password_hash(HASH) == HASH
    assert value.parse_uuid("6F3C1E7A-0000-4000-8000-00000000000A") == "6f3c1e7a-0000-4000-8000-00000000000a"


REFUSED: list[tuple[Callable[[str], object], str]] = [
    *((NodeName.parse, text) for text in ("", "M1", "a_b", "-a", "a-", "a..b", "a" * 53, "a/../b", "a\n", "ä")),
    *((MacAddress.parse, text) for text in ("", "52:54:00:00:11", "zz:54:00:00:00:11", "01:00:5e:00:00:01", "00" * 6)),
    *((KubeVersion.parse, text) for text in ("", "1.30", "1.30.5-rc.1", "1.30.x", "١.٣٠.٥", "latest")),
    *((Duration.parse, text) for text in ("", "40", "40 s", "-1s", "1y", "1.5h", "s")),
    *((Quantity.parse, text) for text in ("", "256MB", "-1", "1e3", "Mi", ".5")),
    *((value.PortRange.parse, text) for text in ("", "0-10", "10-5", "1-65536", "80", "1-2-3")),
    *((Taint.parse, text) for text in ("", "gpu", "gpu=yes", "gpu=yes:Never", ":NoSchedule", "=x:NoSchedule")),
    *((value.parse_address, text) for text in ("", "1.2.3", "1.2.3.4/24", "fe80::1%eth0", "host", "010.1.1.1")),
    *((value.parse_network, text) for text in ("", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "x/8")),
    *((value.parse_interface, text) for text in ("", "172.17.0.1", "x/16", "172.17.0.1/99")),
    *((value.parse_host, text) for text in ("", "a b", "300.1.1.1", "UPPER", "1.2.3.4.5")),
    *((value.parse_dns_name, text) for text in ("", "10.0.0.1", "a b", "-x")),
    *((value.parse_label, text) for text in ("", "a.b", "A", "a" * 64)),
    *(
        (value.parse_url, text)
        for text in ("", "ftp://a", "http://", "http://a b", "http://a:x", "http://a'b", "//a", "http://[::")
    ),
    *((value.parse_https_url, text) for text in ("http://a", "https://u:p@a", "https://u@a")),
    *((value.parse_password_hash, text) for text in ("", "hunter2", "$1$salt$hash", "$6$", "$6$salt$x y")),
    *((value.parse_absolute_path, text) for text in ("", "/", "a", "/a/../b", "/a//b", "/a b", "/a;b", "/a/", "/$(x)")),
    *((value.parse_uuid, text) for text in ("", "1234", "6f3c1e7a000040008000000000000001")),
]


@pytest.mark.parametrize(("parse", "text"), REFUSED)
def test_everything_else_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse(text)


@given(some.text())
def test_no_text_makes_a_parser_crash(text: str) -> None:
    for parse in {parse for parse, _ in REFUSED}:
        with contextlib.suppress(InvalidValueError):
            parse(text)


def test_a_refused_hash_or_url_with_password_is_not_quoted() -> None:
    for parse, text in ((value.parse_password_hash, "hunter2"), (value.parse_url, "http://me:hunter2@proxy")):
        with pytest.raises(InvalidValueError) as caught:
            parse(text)
        assert "hunter2" not in str(caught.value) + caught.value.hint


def test_long_and_dirty_texts_are_quoted_short_and_clean() -> None:
    assert value.quoted("a\x1b[31m") == r"'a\x1b[31m'"
    assert len(value.quoted("x" * 10_000)) < 70
