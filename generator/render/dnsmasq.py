"""Knows how a boot server is written for dnsmasq(8)."""

from collections.abc import Iterator

from generator.plan.pxe import BIOS_IPXE, PXE_NAMES, UEFI_IPXE, UEFI_TAGS, BootServer, Reservation, Subnet
from generator.render.text import one_line, render
from generator.spec.pxe import PxeMode


def render_dnsmasq(server: BootServer) -> bytes:
    """The whole dnsmasq.conf."""
    dhcp = server.mode is PxeMode.DHCP
    values = {
        "cluster": server.cluster,
        "interface": server.interface,
        "tftp_root": server.tftp_root,
        "unknown": server.unknown,
        "hosts": [_host(host) for host in server.reservations],
        "addresses": list(_addresses(server) if dhcp else _proxied(server)),
        "boot": list(_boot(server) if dhcp else _boot_proxied(server)),
    }
    return render("pxe/dnsmasq.conf.j2", values).encode()


def _host(host: Reservation) -> str:
    return ",".join(part for part in (*host.macs, host.address, host.name) if part)


def _addresses(server: BootServer) -> Iterator[str]:
    """Reservations are served in every subnet; machines without one only where the range lies."""
    yield "dhcp-authoritative"
    yield "dhcp-leasefile=/var/lib/misc/kubeseed-dnsmasq.leases"
    for number, subnet in enumerate(server.subnets):
        tag = f"net{number}"
        first, last = _pool(server, subnet)
        yield f"dhcp-range=set:{tag},{first},{last},{subnet.network.netmask},{server.lease}"
        if subnet.gateway:
            yield f"dhcp-option=tag:{tag},option:router,{subnet.gateway}"
        if subnet.nameservers:
            yield f"dhcp-option=tag:{tag},option:dns-server,{','.join(subnet.nameservers)}"


def _pool(server: BootServer, subnet: Subnet) -> tuple[str, str]:
    addresses = server.range
    if addresses and addresses.first in subnet.network:
        return str(addresses.first), str(addresses.last)
    return str(subnet.network.network_address), "static"


def _proxied(server: BootServer) -> Iterator[str]:
    """No address is handed out: another DHCP server does that."""
    for subnet in server.subnets:
        yield f"dhcp-range={subnet.network.network_address},proxy,{subnet.network.netmask}"


def _boot(server: BootServer) -> Iterator[str]:
    yield f"dhcp-boot=tag:ipxe,{_script(server)}"
    yield f"dhcp-boot=tag:!ipxe,tag:bios,{BIOS_IPXE}"
    for arch, file in UEFI_IPXE.items():
        tag = UEFI_TAGS[arch]
        yield f"dhcp-boot=tag:!ipxe,tag:{tag},{file}"
        yield f"dhcp-boot=tag:!ipxe,tag:{tag}-http,{server.boot_url}/tftp/{file}"
        yield f"dhcp-option-force=tag:!ipxe,tag:{tag}-http,option:vendor-class,HTTPClient"


def _boot_proxied(server: BootServer) -> Iterator[str]:
    """A proxyDHCP answers firmware and iPXE with a menu of one entry: Debian 12's iPXE overlooks a mere dhcp-boot.

    It cannot serve UEFI's HTTP boot.
    """
    files = {"x86PC": BIOS_IPXE, **{name: file for arch, file in UEFI_IPXE.items() for name in PXE_NAMES[arch]}}
    for name, file in files.items():
        yield f'pxe-service=tag:ipxe,{name},"kubeseed",{_script(server)}'
        yield f'pxe-service=tag:!ipxe,{name},"kubeseed",{file}'


def _script(server: BootServer) -> str:
    return one_line(f"{server.boot_url}/boot.ipxe")
