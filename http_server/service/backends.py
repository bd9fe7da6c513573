"""Knows where the API servers are."""

from http_server.service.context import Context
from http_server.wire import TEXT, Answer, Call, say, tagged


def backends(context: Context, call: Call) -> Answer:
    """GET /v1/backends: one address:port per line, for the local load balancer's refresh timer."""
    lines = "".join(f"{server}\n" for server in context.inventory.apiServers)
    return tagged(call, lines.encode(), TEXT)


def healthz(context: Context, call: Call) -> Answer:
    """GET /healthz: this process answers. Says nothing else, because anybody may ask."""
    del context, call
    return say("ok")
