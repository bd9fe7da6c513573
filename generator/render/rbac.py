"""Knows rbac.yaml: what the coordinator and joining kubelets may do in the cluster (rbac.authorization.k8s.io/v1).

It takes the place of kubeadm's phase bootstrap-token, without that phase's token and without the binding
kubeadm:node-autoapprove-bootstrap, by which any token becomes any node: the coordinator approves a kubelet's first
request, and only under the node name that the token was made for.
"""

from collections.abc import Iterator

from generator.plan.certificates import KUBELET_API_USER
from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_yaml_documents

COORDINATOR = "kubeseed:coordinator"
BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token"
SIGNERS = ("kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving")
GROUP = "rbac.authorization.k8s.io"


def render_rbac() -> Artefact:
    """`rbac.yaml`, applied by the first master."""
    return Artefact("rbac.yaml", dump_yaml_documents(_documents()).encode())


def _documents() -> Iterator[Data]:
    yield from _coordinator()
    yield _binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", "Group", BOOTSTRAPPERS)
    yield _role("kubeadm:get-nodes", [_rule([""], ["nodes"], ["get"])])
    yield _binding("kubeadm:get-nodes", "kubeadm:get-nodes", "Group", BOOTSTRAPPERS)
    # A node's certificate renews itself: same user, same name.
    own_renewal = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
    yield _binding("kubeadm:node-autoapprove-certificate-rotation", own_renewal, "Group", "system:nodes")
    yield _binding("kubeadm:apiserver-kubelet-client", "system:kubelet-api-admin", "User", KUBELET_API_USER)


def _coordinator() -> Iterator[Data]:
    certificates = ["certificates.k8s.io"]
    yield _role(
        COORDINATOR,
        [
            _rule(certificates, ["certificatesigningrequests"], ["list"]),
            _rule(certificates, ["certificatesigningrequests/approval"], ["update"]),
            {**_rule(certificates, ["signers"], ["approve"]), "resourceNames": SIGNERS},
        ],
    )
    yield _binding(COORDINATOR, COORDINATOR, "User", COORDINATOR)
    # RBAC knows no patterns of names, so this reaches every Secret of the namespace; none can be read.
    yield _role(COORDINATOR, [_rule([""], ["secrets"], ["create", "delete"])], "kube-system")
    yield _binding(COORDINATOR, COORDINATOR, "User", COORDINATOR, "kube-system")


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> dict[str, Data]:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _role(name: str, rules: list[Data], namespace: str = "") -> dict[str, Data]:
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": rules}


def _binding(name: str, role: str, kind: str, subject: str, namespace: str = "") -> dict[str, Data]:
    scope = "" if namespace else "Cluster"
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{scope}RoleBinding",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": GROUP, "kind": f"{scope}Role", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": kind, "name": subject}],
    }


def _metadata(name: str, namespace: str) -> dict[str, Data]:
    return {"name": name, **({"namespace": namespace} if namespace else {})}
