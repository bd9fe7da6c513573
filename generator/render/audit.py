"""Knows the API server's audit policy (audit.k8s.io/v1), kubeadm-ha's rules: little for what is frequent and harmless.

The first rule that matches an event decides.
"""

from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_yaml

NAME = "audit-policy.yaml"
_CONTROLLERS = (
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:serviceaccount:kube-system:endpoint-controller",
)
_KNOWN_GROUPS = (
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "extensions",
    "metrics.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "settings.k8s.io",
    "storage.k8s.io",
)


def render_audit_policy(own: str | None = None) -> Artefact:
    """`audit-policy.yaml`: the text of the spec's policyFile, or kubeseed's own policy."""
    return Artefact(NAME, (own if own is not None else dump_yaml(audit_policy())).encode())


def audit_policy() -> dict[str, Data]:
    """audit.k8s.io/v1 Policy."""
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [*_unlogged(), *_logged()]}


def _unlogged() -> list[Data]:
    """What is frequent and says little."""
    nodes = _resources("", "nodes", "nodes/status")
    return [
        _none(
            users=["system:kube-proxy"],
            verbs=["watch"],
            resources=_resources("", "endpoints", "services", "services/status"),
        ),
        _none(
            users=["system:unsecured"],
            namespaces=["kube-system"],
            verbs=["get"],
            resources=_resources("", "configmaps"),
        ),
        _none(users=["kubelet"], verbs=["get"], resources=nodes),
        _none(userGroups=["system:nodes"], verbs=["get"], resources=nodes),
        _none(
            users=_CONTROLLERS,
            verbs=["get", "update"],
            namespaces=["kube-system"],
            resources=_resources("", "endpoints"),
        ),
        _none(
            users=["system:apiserver"],
            verbs=["get"],
            resources=_resources("", "namespaces", "namespaces/status", "namespaces/finalize"),
        ),
        _none(users=_CONTROLLERS[:1], verbs=["get", "list"], resources=_resources("metrics.k8s.io")),
        _none(nonResourceURLs=["/healthz*", "/version", "/swagger*"]),
        _none(resources=_resources("", "events")),
    ]


def _logged() -> list[Data]:
    """Names only of what holds secrets; requests of readers; everything of writers; names of what is unknown."""
    secrets = [
        *_resources("", "secrets", "configmaps", "serviceaccounts/token"),
        *_resources("authentication.k8s.io", "tokenreviews"),
    ]
    known: Data = [{"group": group} for group in _KNOWN_GROUPS]
    late: dict[str, Data] = {"omitStages": ["RequestReceived"]}
    return [
        {"level": "Metadata", "resources": secrets, **late},
        {"level": "Request", "verbs": ["get", "list", "watch"], "resources": known, **late},
        {"level": "RequestResponse", "resources": known, **late},
        {"level": "Metadata", **late},
    ]


def _none(**match: Data) -> dict[str, Data]:
    return {"level": "None", **match}


def _resources(group: str, *names: str) -> list[Data]:
    return [{"group": group, **({"resources": names} if names else {})}]
