"""Knows what may be had over plain HTTP: the root certificate, and seeds without any secret."""

import os

from http_server.errors import ApiError
from http_server.service.context import Context
from http_server.wire import TEXT, Answer, Call

FILES = frozenset({"user-data", "meta-data", "network-config", "vendor-data"})


def root_certificate(context: Context, call: Call) -> Answer:
    """GET /ca.crt: the cluster's root certificate."""
    del call
    return Answer(body=context.settings.out.root_certificate.read_bytes(), media_type=TEXT)


def seed(context: Context, call: Call) -> Answer:
    """GET /seed/{node}/{file}: one of the four NoCloud files of a known node, from the public folder only."""
    node, name = call.path["node"], call.path["file"]
    if node not in context.inventory.nodes or name not in FILES:
        raise ApiError(404, "not-found", "no such seed")
    try:
        path = context.settings.out.public_seeds / node / name
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return Answer(body=file.read(), media_type=TEXT)
    except OSError as error:
        raise ApiError(404, "not-found", "no such seed", cause=str(error.strerror)) from None
