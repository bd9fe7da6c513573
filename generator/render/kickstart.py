"""Knows kickstart, the RHEL family's unattended installation, in the syntax of each release (pykickstart)."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_interface

from generator.plan.install import Install
from generator.plan.network import Link, LinkKind, Network
from generator.plan.seed import Login, Seed
from generator.profile import Kickstart, KickstartSyntax
from generator.render.kickstart_disk import chooses, render_choice, storage_lines
from generator.render.late import Late, land, render_late
from generator.render.network_manager import render_keyfiles
from generator.render.progress import Client, report_installed, report_started
from generator.render.text import kickstart, render
from generator.scripts import Script
from generator.value import version_of

# What the installer wrote of its own network would be a second answer to the same question.
_FORGET_NETWORK = "rm -f /etc/NetworkManager/system-connections/* /etc/sysconfig/network-scripts/ifcfg-[!l]*"
_LOG = "/root/kubeseed-install.log"


def render_kickstart(seed: Seed, install: Install, scripts: Iterable[Script]) -> bytes:
    """The whole file: commands, packages, and %post which lands what every installer lands."""
    syntax = install.kickstart
    if syntax is None:
        raise ValueError("the profile has no kickstart")
    head = render("kickstart.cfg.j2", {
        "title": install.title,
        "syntax": syntax.syntax.value,
        "sources": list(_sources(install)),
        "clock": list(_clock(install, syntax)),
        "network": list(_network(seed.hostname, seed.network)),
        "accounts": [_account(login) for login in seed.logins],
        "firewall": "firewall --disabled" if install.firewall_off else "firewall --enabled --ssh",
        "storage": list(storage_lines(install.disk, seed.disks)),
        "packages": (syntax.environment, *install.packages),
    })  # fmt: skip
    choice = render_choice(install.disk, seed.disks) if chooses(install.disk) else ""
    late = _late(seed, scripts)
    before, after = _reports(seed.hostname, install.reports_to)
    return f"{head}{choice}{before}%post --erroronfail --log={_LOG}\n{late.own}{late.shared}%end\n{after}".encode()


def _reports(node: str, url: str) -> tuple[str, str]:
    """Sections of their own: a coordinator that is away is no fault of what they stand beside."""
    if not url:
        return "", ""
    before = f"%pre\n{report_started(url, node, Client.CURL)}\n%end\n"
    return before, f"%post --nochroot\n{report_installed(url, node, Client.CURL)}\n%end\n"


def _late(seed: Seed, scripts: Iterable[Script]) -> Late:
    """Without a MAC address only the installer knows which card it found, so its own network stays."""
    if not seed.network.links[0].mac:
        return render_late(seed, scripts)
    keyfiles = (land(file).rstrip("\n") for file in render_keyfiles(seed.hostname, seed.network))
    return render_late(seed, scripts, (_FORGET_NETWORK, *keyfiles))


def _sources(install: Install) -> Iterator[str]:
    """The first mirror is the tree that is installed from; without one it is what the installer was booted with."""
    proxy = f" --proxy={kickstart(install.proxy)}" if install.proxy else ""
    for number, url in enumerate(install.mirrors):
        if number == 0:
            yield f"url --url={kickstart(url)}{proxy}"
        else:
            yield f"repo --name=base-{number + 1} --baseurl={kickstart(url)}{proxy}"


def _clock(install: Install, syntax: Kickstart) -> Iterator[str]:
    separate = syntax.syntax is KickstartSyntax.RHEL9
    servers = "" if separate or not install.ntp else f" --ntpservers={kickstart(','.join(install.ntp))}"
    yield f"timezone {kickstart(install.timezone)} --utc{servers}"
    if separate:
        yield from (f"timesource --ntp-server={kickstart(server)}" for server in install.ntp)


def _account(login: Login) -> str:
    groups = f" --groups={kickstart(login.group)}" if login.group else ""
    hashed = login.password_hash
    password = f"--iscrypted --password={kickstart(hashed.reveal())}" if hashed else "--lock"
    return f"user --name={kickstart(login.name)} --shell=/bin/bash{groups} {password}"


def _network(hostname: str, network: Network) -> Iterator[str]:
    """How the installer itself reaches the network: the first card alone, in its VLAN. The system gets keyfiles."""
    yield f"network --hostname={kickstart(hostname)}"
    main, card = network.main_link, network.links[0]
    words = [f"--device={kickstart(card.mac or 'link')}", "--activate", "--onboot=yes"]
    words += [f"--vlanid={main.vlan}"] if main.kind is LinkKind.VLAN else []
    words += [*_version_4(main), *_version_6(main)]
    words += [f"--nameserver={kickstart(','.join(network.nameservers))}"] if network.nameservers else []
    words += [f"--mtu={main.mtu}"] if main.mtu else []
    yield " ".join(("network", *words))


def _version_4(link: Link) -> Iterator[str]:
    if link.dhcp == 4:
        yield "--bootproto=dhcp"
        return
    address = _first(link, 4)
    if not address:
        yield "--noipv4"
        return
    interface = ip_interface(address)
    yield from ("--bootproto=static", f"--ip={interface.ip}", f"--netmask={interface.netmask}")
    if link.gateway and version_of(link.gateway) == 4:
        yield f"--gateway={link.gateway}"


def _version_6(link: Link) -> Iterator[str]:
    address = _first(link, 6)
    yield "--ipv6=dhcp" if link.dhcp == 6 else f"--ipv6={kickstart(address)}" if address else "--noipv6"
    if link.gateway and version_of(link.gateway) == 6:
        yield f"--ipv6gateway={link.gateway}"


def _first(link: Link, version: int) -> str:
    return next((address for address in link.addresses if version_of(address) == version), "")
