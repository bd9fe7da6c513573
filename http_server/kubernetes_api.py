"""Knows the few calls to the cluster's API (core/v1 Secret, certificates.k8s.io/v1), each server tried in turn."""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from http_server.identity import Identity
from http_server.model import Token
from http_server.ports import KUBELET_CLIENT, KUBELET_SERVING, KubernetesUnavailableError, SigningRequest
from http_server.private_file import in_memory
from http_server.secret import Secret

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 5.0
BREAK_SECONDS = 3.0  # after a failure nobody waits for a time-out again for so long
PAGE, MOST_PAGES = 200, 10
SECRETS = "/api/v1/namespaces/kube-system/secrets"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token"


@dataclass(frozen=True, slots=True)
class KubeletRequest:
    """ports.SigningRequest; `document` is the object as the API server gave it."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def signer(self) -> str:
        return str(self.document["spec"]["signerName"])

    @property
    def requester(self) -> str:
        return str(self.document["spec"].get("username", ""))

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(self.document["spec"].get("groups", ()))

    @property
    def usages(self) -> frozenset[str]:
        return frozenset(self.document["spec"].get("usages", ()))

    @property
    def pem(self) -> bytes:
        return base64.b64decode(self.document["spec"]["request"])

    @property
    def decided(self) -> bool:
        return bool(self.document.get("status", {}).get("conditions"))


class RequestsKubernetes:
    """ports.KubernetesApi. `servers` and `identity` are asked at each call, because both change while running."""

    def __init__(self, servers: Callable[[], tuple[str, ...]], identity: Callable[[], Identity]) -> None:
        self._servers = servers
        self._identity = identity
        self._closed_until = 0.0
        self._good = ""

    def ensure_token(self, token: Token, secret: Secret) -> None:
        self._call("POST", SECRETS, {201, 409}, body=_secret(token, secret))

    def delete_token(self, token: Token) -> None:
        self._call("DELETE", f"{SECRETS}/bootstrap-token-{token.id}", {200, 202, 404})

    def pending_requests(self) -> tuple[SigningRequest, ...]:
        return tuple(
            found
            for signer in (KUBELET_CLIENT, KUBELET_SERVING)
            for found in self._of_signer(signer)
            if not found.decided
        )

    def _of_signer(self, signer: str) -> Iterator[KubeletRequest]:
        following = ""
        for _ in range(MOST_PAGES):
            query = {"fieldSelector": f"spec.signerName={signer}", "limit": str(PAGE), "continue": following}
            page = self._call("GET", REQUESTS, {200}, query={name: value for name, value in query.items() if value})
            for item in page.get("items", ()):
                if item.get("spec", {}).get("signerName") == signer:
                    yield KubeletRequest(item)
            following = page.get("metadata", {}).get("continue", "")
            if not following:
                return

    def approve(self, request: SigningRequest, reason: str) -> None:
        if not isinstance(request, KubeletRequest):
            raise TypeError("a request of another API")
        condition = {"type": "Approved", "status": "True", "reason": "KubeseedVerified", "message": reason}
        status = {**request.document.get("status", {}), "conditions": [condition]}
        body = {**request.document, "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
        self._call("PUT", f"{REQUESTS}/{request.name}/approval", {200, 201, 404, 409}, body={**body, "status": status})

    def _in_order(self) -> tuple[str, ...]:
        """The server that answered last comes first: a dead one costs its time-out once."""
        return tuple(sorted(self._servers(), key=lambda server: server != self._good))

    def _call(
        self, method: str, path: str, good: set[int], *, body: object = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer of the first server that gives a good one. Only the epoch's CA is trusted, no proxy is used."""
        if time.monotonic() < self._closed_until:
            raise KubernetesUnavailableError("no API server answered a moment ago")
        problems = []
        identity = self._identity()
        with (
            in_memory(identity.trust) as trust,
            in_memory(identity.pem.reveal()) as client,
            requests.Session() as session,
        ):
            session.trust_env = False
            session.verify, session.cert = trust, client
            for server in self._in_order():
                try:
                    found = _answer(session, method, f"https://{server}{path}", good, body, query)
                except KubernetesUnavailableError as error:
                    problems.append(f"{server}: {error}")
                else:
                    self._good = server
                    return found
        self._closed_until = time.monotonic() + BREAK_SECONDS
        raise KubernetesUnavailableError("; ".join(problems) or "the inventory names no API server")


def _answer(
    session: requests.Session, method: str, url: str, good: set[int], body: object, query: Mapping[str, str] | None
) -> dict[str, Any]:
    """The JSON object of a good answer. Errors name their kind only: their texts may quote what was sent."""
    limits = (CONNECT_SECONDS, ANSWER_SECONDS)
    try:
        answer = session.request(method, url, json=body, params=query, timeout=limits, allow_redirects=False)
        if answer.status_code not in good:
            raise KubernetesUnavailableError(f"{method} answered {answer.status_code}")
        found = answer.json() if answer.status_code == 200 else {}
    except (requests.RequestException, OSError) as error:
        raise KubernetesUnavailableError(type(error).__name__) from None
    return found if isinstance(found, dict) else {}


def _secret(token: Token, secret: Secret) -> dict[str, object]:
    """A bootstrap token as Kubernetes keeps it (its documentation: access-authn-authz/bootstrap-tokens)."""
    data = {
        "token-id": token.id,
        "token-secret": secret.reveal().decode(),
        "expiration": datetime.fromtimestamp(token.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": BOOTSTRAPPERS,
        "description": f"kubeseed: for node {token.node} alone",
    }
    metadata = {"name": f"bootstrap-token-{token.id}", "namespace": "kube-system"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": metadata,
        "stringData": data,
    }
