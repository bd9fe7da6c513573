"""Knows when a package source can be verified, and when there is one at all."""

from collections.abc import Iterator

from generator.check.finding import Finding, warning
from generator.check.release import OLDEST
from generator.mirror import is_packaged
from generator.spec.bootstrap import Stage
from generator.spec.cluster import Cluster


def check_keys(cluster: Cluster) -> Iterator[Finding]:
    """A source of one's own brings its key; the distribution's own packages are signed by the distribution."""
    for name, source in (("kubernetes", cluster.packages.kubernetes), ("engine", cluster.packages.engine)):
        for manager, url in (("apt", source.apt), ("yum", source.yum)):
            if url and not url.startswith("https://") and not (source.key or source.key_url):
                message = "nodes cannot get this source's key: one from plain http would prove nothing"
                hint = f"write packages.{name}.key (the armoured text) or packages.{name}.keyUrl (https)"
                yield Finding(("packages", name, manager), message, hint)


def check_release(cluster: Cluster) -> Iterator[Finding]:
    """Kubernetes' own repositories begin with 1.24."""
    source, version = cluster.packages.kubernetes, cluster.kubernetes.version
    provided = source.apt or source.yum or Stage.PACKAGES in cluster.bootstrap.skip_stages
    if version >= OLDEST and not is_packaged(version) and not provided:
        message = f"no public repository holds Kubernetes {version.release}"
        hint = "name yours in packages.kubernetes, or bring kubeadm, kubelet and kubectl with the image"
        yield warning(("kubernetes", "version"), message, hint)
