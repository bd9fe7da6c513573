"""Calls a cluster as the coordinator does, with its own code; run as a program inside the cluster's network.

python -m tests.judge.coordinator_calls FOLDER token|pending|approve|forget
"""

import sys
import time
from pathlib import Path

from http_server.identity import CLIENT, make_identity
from http_server.kubernetes_api import RequestsKubernetes
from http_server.model import Token
from http_server.pki import load_authority
from http_server.secret import Secret

TOKEN, SECRET = "abc123", "0123456789abcdef"


def main(folder: str, action: str) -> None:
    pki = Path(folder) / "kubernetes" / "pki"
    authority = load_authority((pki / "ca.crt").read_bytes(), Secret((pki / "ca.key").read_bytes()))
    identity = make_identity(CLIENT, 1, authority, time.time())
    api = RequestsKubernetes(lambda: ("192.168.77.11:6443",), lambda: identity)
    token = Token(TOKEN, "w1", 1, b"", time.time() + 600)
    match action:
        case "token":
            api.ensure_token(token, Secret(SECRET.encode()))
        case "forget":
            api.delete_token(token)
        case "approve":
            for request in api.pending_requests():
                api.approve(request, "a test")
    sys.stdout.write("\n".join(f"{one.name} {one.requester}" for one in api.pending_requests()))


if __name__ == "__main__":
    main(*sys.argv[1:])
