"""The packet filter of the spec on a node: loaded when wanted, gone when not, refused as a whole when wrong."""

import pytest

from tests.node.machine import Machine

FIREWALL = "/usr/local/lib/kubeseed/firewall"
LANDED, RULES = "etc/kubeseed/files/firewall.nft", "etc/kubeseed/firewall.nft"
NFT = '#!/bin/sh\necho "nft $*" >>/var/stand-in/calls\n'


@pytest.fixture
def filtered(machine: Machine) -> Machine:
    machine.seed("", None)
    machine.write(LANDED, "table inet kubeseed { }\n")
    machine.write("usr/local/sbin/nft", NFT, 0o755)
    machine.write("usr/local/sbin/ufw", '#!/bin/sh\necho "ufw $*" >>/var/stand-in/calls\n', 0o755)
    return machine


def test_the_rules_are_tried_then_loaded_and_other_filters_go(filtered: Machine) -> None:
    assert filtered.boot(FIREWALL, "check")[0] != 0
    status, said = filtered.boot(FIREWALL, "apply")
    assert (status, said) == (0, "")
    assert filtered.read(RULES) == filtered.read(LANDED)
    assert filtered.calls("nft") == ["-c -f /etc/kubeseed/files/firewall.nft"]
    assert filtered.calls("ufw") == ["disable"]
    assert any("enable kubeseed-firewall.service" in call for call in filtered.calls("systemctl"))
    assert filtered.boot("/bin/sh", "-c", f"{FIREWALL} apply && {FIREWALL} check")[0] == 0


def test_a_new_rule_restarts_the_filter(filtered: Machine) -> None:
    filtered.boot(FIREWALL, "apply")
    filtered.write(LANDED, "table inet kubeseed { chain input { } }\n")
    assert filtered.boot(FIREWALL, "check")[0] != 0
    filtered.boot(FIREWALL, "apply")
    assert "restart kubeseed-firewall.service" in filtered.calls("systemctl")[-1].strip()


def test_wrong_rules_change_nothing(filtered: Machine) -> None:
    filtered.write("usr/local/sbin/nft", "#!/bin/sh\nexit 1\n", 0o755)
    assert filtered.boot(FIREWALL, "apply")[0] != 0
    assert not filtered.path(RULES).exists()
    assert filtered.calls("ufw") == []


def test_a_filter_that_is_no_longer_wanted_goes(filtered: Machine) -> None:
    filtered.boot(FIREWALL, "apply")
    filtered.path(LANDED).unlink()
    assert filtered.boot(FIREWALL, "check")[0] != 0
    assert filtered.boot(FIREWALL, "apply")[0] == 0
    assert not filtered.path(RULES).exists()
    assert "disable --now kubeseed-firewall.service" in filtered.calls("systemctl")


def test_a_node_without_a_filter_has_nothing_to_do(filtered: Machine) -> None:
    filtered.path(LANDED).unlink()
    assert filtered.boot(FIREWALL, "check")[0] == 0
