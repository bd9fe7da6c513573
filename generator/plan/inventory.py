"""Knows what the coordinator is told of the cluster (docs/protocol.md, the inventory): names, roles and digests."""

from collections.abc import Mapping

from generator.bundle import Enrolment
from generator.plan.backup import backup_hours
from generator.plan.certificates import inventory_certificates
from generator.plan.filesets import Fileset
from generator.plan.host import plan_stages, roles
from generator.plan.load_balancer import backends, endpoint
from generator.plan.pxe import image_of, trust_seconds
from generator.render.dump import Data
from generator.spec.cluster import Cluster
from generator.spec.node import Node

FORMAT = 1


def inventory_cluster(cluster: Cluster, spec_digest: str) -> dict[str, Data]:
    """The inventory but for `filesets` and `nodes`."""
    encryption = cluster.kubernetes.secrets_encryption
    return {
        "format": FORMAT,
        "cluster": cluster.metadata.name,
        "specDigest": spec_digest,
        "urls": cluster.coordinator.all_urls,
        "firstMaster": cluster.first_master.name,
        "stages": plan_stages(cluster.nodes),
        "endpoint": f"https://{endpoint(cluster)}",
        "apiServers": tuple(backend.target for backend in backends(cluster)),
        "join": cluster.bootstrap.join.value,
        "caDays": cluster.kubernetes.certificate_validity.ca.days,
        "encryption": encryption.algorithm.value if encryption else None,
        "trustSeconds": trust_seconds(cluster),
        "backupHours": backup_hours(cluster),
    }


def inventory_node(cluster: Cluster, node: Node, enrolment: Enrolment, filesets: tuple[Fileset, ...]) -> Data:
    """A node's entry. The secret itself stays in its seed; the coordinator learns its digest."""
    certificates: Mapping[str, Data] = inventory_certificates(cluster, node)
    return {
        "generation": enrolment.generation,
        "roles": roles(node),
        "address": str(node.address),
        "macs": node.all_macs,
        "productUuid": node.product_uuid or "",
        "serial": node.serial or "",
        "checkUniqueIds": node.check_unique_ids,
        "boot": _boot(cluster, node),
        "enrolId": enrolment.id,
        "secretDigest": enrolment.digest,
        "filesets": tuple(fileset.name for fileset in filesets),
        "skipStages": cluster.bootstrap.skip_stages,
        "certificates": certificates,
    }


def _boot(cluster: Cluster, node: Node) -> Data:
    """What the machine gets when it boots over the network; null when it never does."""
    image = image_of(node) if cluster.pxe else ""
    return {"deploy": node.pxe.deploy.value, "image": image} if image else None
