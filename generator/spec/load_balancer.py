"""Knows section `loadBalancer`: how nodes reach the API servers."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator import value
from generator.secret import Secret
from generator.spec.field import Address, Host, Integer, Parsed, Port, Section


def _parse_password(text: str) -> Secret[str]:
    """RFC 2338 authentication data: eight bytes, without those that end a word in keepalived.conf."""
    if not re.fullmatch(r"[A-Za-z0-9._+=-]{1,8}", text):
        raise value.InvalidValueError(
            "this cannot be a VRRP password", "use 1 to 8 letters, digits, '.', '_', '+', '=' or '-'"
        )
    return Secret(text)


VrrpPassword = Annotated[Secret[str], Parsed(_parse_password, secret=True, what="password")]


class LoadBalancerMode(StrEnum):
    """Where the load balancer of the API servers is."""

    LOCAL = "local"
    VIP = "vip"
    EXTERNAL = "external"


class LoadBalancerEngine(StrEnum):
    """The program that balances."""

    NGINX = "nginx"
    HAPROXY = "haproxy"
    ENVOY = "envoy"


class Balance(StrEnum):
    """How a connection finds its API server; haproxy's names."""

    LEASTCONN = "leastconn"
    ROUNDROBIN = "roundrobin"
    SOURCE = "source"


class Keepalived(Section):
    """VRRP between the nodes of role lb, with mode vip."""

    router_id: Integer = Field(51, ge=1, le=255, description="VRRP's virtual router id, unique in the network segment.")
    password: VrrpPassword | None = Field(
        None, description="VRRP's password, at most 8 characters; null generates one."
    )


class LoadBalancer(Section):
    """How nodes reach the API servers."""

    mode: LoadBalancerMode = Field(
        LoadBalancerMode.LOCAL,
        description="local: one on every master and worker, on 127.0.0.1. vip: on the nodes of role lb, behind an "
        "address that keepalived moves. external: yours, at `address`.",
    )
    engine: LoadBalancerEngine = Field(LoadBalancerEngine.NGINX, description="The program, with mode local and vip.")
    vip: Address | None = Field(None, description="The address that keepalived moves, with mode vip.")
    address: Host | None = Field(None, description="Address or name of your load balancer, with mode external.")
    port: Port = Field(8443, description="Port that API clients connect to.")
    health_port: Port = Field(8081, description="Port of the balancer's own health check, on 127.0.0.1.")
    stats_port: Port = Field(9090, description="Port of the statistics of haproxy and envoy, on 127.0.0.1.")
    balance: Balance = Field(
        Balance.LEASTCONN,
        description="leastconn: the API server with the fewest connections. roundrobin: each in turn. source: always "
        "the same one for a client's address.",
    )
    keepalived: Keepalived = Field(Keepalived(), description="VRRP settings, with mode vip.")
