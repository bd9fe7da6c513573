"""Knows which kubelet may have which certificate from the cluster: its own, and nobody else's.

A bootstrap token alone would let its holder become any node: kube-controller-manager's approver never compares the two.
Here a request passes only when the token was minted for the very node that the request names.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from http_server.model import AuditEvent
from http_server.ports import KUBELET_CLIENT, KUBELET_SERVING, SigningRequest, View
from http_server.service.context import Context

NODE_USER, BOOTSTRAP_USER = "system:node:", "system:bootstrap:"
NODES = "system:nodes"
KEY_USAGES = frozenset({"digital signature", "key encipherment"})
PURPOSE = {KUBELET_CLIENT: "client auth", KUBELET_SERVING: "server auth"}

# What cryptography raises for what it cannot read; whoever may make a request writes these bytes.
UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm,
    x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
)  # fmt: skip


def approve_requests(context: Context) -> int:
    """One round: approves what passes, leaves the rest to the cluster's administrators; returns how many passed."""
    return sum(_approve(context, request) for request in context.kubernetes.pending_requests())


def _approve(context: Context, request: SigningRequest) -> bool:
    node = context.store.read(lambda view: allowed_node(context, view, request))
    if not node:
        return False
    detail = {"request": request.name, "signer": request.signer}
    event = AuditEvent("kubelet-request-approved", node, "coordinator", detail=detail)
    context.store.transact(lambda transaction: transaction.record(event))
    context.kubernetes.approve(request, f"{request.requester} asks for its own certificate")
    return True


def allowed_node(context: Context, view: View, request: SigningRequest) -> str:
    """The node that this request rightly speaks for; empty when it does not pass."""
    node = _asking_node(view, request)
    known = context.inventory.nodes.get(node)
    enrolment = view.enrolment(node)
    if not known or not enrolment or not enrolment.live or enrolment.generation != known.generation:
        return ""
    purpose = PURPOSE.get(request.signer)
    if not purpose or purpose not in request.usages or not request.usages <= KEY_USAGES | {purpose}:
        return ""
    names = frozenset({f"DNS:{node}", f"IP:{known.address}"}) if request.signer == KUBELET_SERVING else frozenset[str]()
    return node if _says(request.pem, node, names) else ""


def _asking_node(view: View, request: SigningRequest) -> str:
    """A kubelet with an identity asks for itself; one that has none yet shows the token minted for it."""
    user = request.requester
    if user.startswith(NODE_USER) and NODES in request.groups:
        return user.removeprefix(NODE_USER)
    if user.startswith(BOOTSTRAP_USER) and request.signer == KUBELET_CLIENT:
        return view.token_holder(user.removeprefix(BOOTSTRAP_USER)) or ""
    return ""


def _says(pem: bytes, node: str, names: frozenset[str]) -> bool:
    """Whether the request's subject is exactly this node's and its alternative names are exactly these."""
    try:
        request = x509.load_pem_x509_csr(pem)
        signed = request.is_signature_valid
        found = frozenset(_names(request))
    except UNREADABLE:
        return False
    subject = {(part.oid, part.value) for part in request.subject}
    wanted = {(NameOID.COMMON_NAME, f"{NODE_USER}{node}"), (NameOID.ORGANIZATION_NAME, NODES)}
    return signed and subject == wanted and len(list(request.subject)) == len(wanted) and found == names


def _names(request: x509.CertificateSigningRequest) -> list[str]:
    """Alternative names as in the inventory; a name of another kind makes the request fail."""
    try:
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = [f"DNS:{name}" for name in extension.get_values_for_type(x509.DNSName)]
    names += [f"IP:{address}" for address in extension.get_values_for_type(x509.IPAddress)]
    if len(names) != len(extension):
        raise ValueError("names of other kinds")
    return names
