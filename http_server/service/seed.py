"""Knows what may be had over plain HTTP: the root certificate, and seeds without any secret."""

import os

from http_server.assets import plain_file
from http_server.errors import ApiError
from http_server.service.context import Context
from http_server.wire import TEXT, Answer, Call

FILES = frozenset({"user-data", "meta-data", "network-config", "vendor-data", "kickstart.cfg", "preseed.cfg"})
# Ubuntu's installer is a system with a NoCloud seed of its own; its network is the kernel's.
AUTOINSTALL = {"user-data": "autoinstall.yaml", "meta-data": "meta-data", "vendor-data": "vendor-data"}


def roots(context: Context, call: Call) -> Answer:
    """GET /ca.crt and /v1/root: what nodes know the coordinator by; two certificates while the root is renewed."""
    del call
    return Answer(file=plain_file(context.settings.out.trusted_roots), media_type=TEXT)


def seed(context: Context, call: Call) -> Answer:
    """GET /seed/{node}/{file}: a NoCloud file of a known node, or what its installer reads; from the public folder."""
    name = call.path["file"]
    return _public(context, call.path["node"], name if name in FILES else "")


def autoinstall(context: Context, call: Call) -> Answer:
    """GET /seed/{node}/autoinstall/{file}: the seed of Ubuntu's installer."""
    return _public(context, call.path["node"], AUTOINSTALL.get(call.path["file"], ""))


def _public(context: Context, node: str, name: str) -> Answer:
    if node not in context.inventory.nodes or not name:
        raise ApiError(404, "not-found", "no such seed")
    try:
        path = context.settings.out.public_seeds / node / name
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return Answer(body=file.read(), media_type=TEXT)
    except OSError as error:
        raise ApiError(404, "not-found", "no such seed", cause=str(error.strerror)) from None
