"""Knows the variables that have to be seen together, and those whose default is not taken over."""

import re
from collections.abc import Callable
from typing import Any

from generator.importer import reading
from generator.importer.ansible import Inventory
from generator.importer.draft import Draft
from generator.importer.table import EXAMPLES, LEFT

_DOCKER_HUB = "https://registry-1.docker.io"
# What the spec has one place for, whichever engine is chosen.
_OF_ENGINE = {
    "containerd": ("containerd_version", "containerd_storage_dir", "containerd_registries"),
    "docker": ("docker_version", "docker_storage_dir", "docker_mirror", "docker_insecure_registries"),
}
_VRRP = re.compile(r"[A-Za-z0-9._+=-]{1,8}")


def images(draft: Draft) -> None:
    """Single images are tags in the spec: their repository is that of all."""
    repository = draft.in_force("kube_image_repository")
    for name, path, image in (
        ("pod_infra_container_image", "kubernetes.images.pause", "pause"),
        ("etcd_image", "kubernetes.images.etcd", "etcd"),
    ):
        written = draft.value(name)
        if written is None:
            continue
        before, _, tag = written.rpartition(":")
        if before == f"{repository}/{image}":
            draft.put(name, path, tag)
        else:
            draft.tell(
                name, f"only a tag of {repository}/{image} can be chosen; it is left out", f"mirror it as {image}"
            )


def validity(draft: Draft) -> None:
    """etcd's authority and the cluster's have one validity in the spec: the shorter of what was asked for."""
    for key, pair in (
        ("ca", ("kube_ca_certs_expired", "etcd_ca_certs_expired")),
        ("leaf", ("kube_certs_expired", "etcd_certs_expired")),
    ):
        asked = {name: found for name in pair if (found := draft.value(name, reading.whole)) is not None}
        for name in asked:
            draft.put(name, f"kubernetes.certificateValidity.{key}", f"{min(asked.values())}d")
        if len(set(asked.values())) > 1:
            longer = max(asked, key=lambda name: asked[name])
            draft.tell(longer, f"all certificates have one validity, {min(asked.values())} days")


def alternative_names(draft: Draft) -> None:
    """kubeadm-ha's own defaults, 8.8.8.8 and kubernetes.io, belong to others and into nobody's certificate."""
    for name in ("kube_master_external_ip", "kube_master_external_domain"):
        asked = draft.value(name, reading.words)
        wanted = [found for found in asked or () if found not in EXAMPLES[name]]
        if asked is None or len(wanted) < len(asked):
            draft.tell(name, f"kubeadm-ha's default {EXAMPLES[name][0]} is not put into the API server's certificate")
        if wanted:
            before = draft.tree.get("kubernetes", {}).get("certSANs", [])
            draft.put(name, "kubernetes.certSANs", [*before, *wanted])


def plugin(draft: Draft) -> None:
    if draft.value("network_plugins_enabled", reading.flag) is False:
        draft.put("network_plugins_enabled", "network.plugin", "none")
    else:
        draft.put("network_plugin", "network.plugin", draft.in_force("network_plugin"))


def addons(draft: Draft) -> None:
    """What kubeadm-ha installs unless it is told not to."""
    for name, path in (
        ("ingress_controller_enabled", "addons.ingress.enabled"),
        ("metrics_server_enabled", "addons.metricsServer.enabled"),
    ):
        if not draft.is_set(name):
            draft.put(name, path, True)
    email = draft.value("acme_email")
    if email and email not in EXAMPLES["acme_email"]:
        draft.put("acme_email", "addons.certManager.acmeEmail", email)


def engine(draft: Draft) -> None:
    """Of the variables that both engines have, those of the chosen one."""
    chosen = draft.in_force("container_manager")
    for name in _OF_ENGINE["containerd" if chosen == "docker" else "docker"]:
        if draft.is_set(name):
            draft.tell(name, f"container_manager is {chosen}; it is left out")
    for key, path in (("version", "engine.version"), ("storage_dir", "engine.dataDir")):
        if found := draft.value(f"{chosen}_{key}"):
            draft.put(f"{chosen}_{key}", path, found)
    if chosen == "docker":
        _docker(draft)
    elif registries := draft.value("containerd_registries", reading.name_lists):
        draft.put("containerd_registries", "engine.registries", registries)
    _extra_config(draft)


def _docker(draft: Draft) -> None:
    if mirrors := draft.value("docker_mirror", reading.words):
        draft.put("docker_mirror", "engine.registries", {"docker.io": [*mirrors, _DOCKER_HUB]})
    insecure = draft.value("docker_insecure_registries", reading.words)
    if insecure:
        draft.put("docker_insecure_registries", "engine.insecureRegistries", insecure)
        draft.tell("docker_insecure_registries", "the certificates of these registries are not verified")
    else:
        message = "kubeadm-ha trusts any registry in the networks of pods and services; no longer"
        draft.tell("docker_insecure_registries", message)


def _extra_config(draft: Draft) -> None:
    parts = {
        name: found
        for name, read in (("containerd_runtimes", reading.runtimes), ("containerd_extra_args", reading.text))
        if (found := draft.value(name, read))
    }
    for name in parts:
        draft.put(name, "engine.containerd.extraConfig", "\n".join(parts.values()))


def repositories(draft: Draft) -> None:
    """A key is fetched from beside its repository: from plain http it would prove nothing."""
    packages = draft.tree.get("packages", {})
    for name, key in (
        ("kubernetes", "apt"),
        ("kubernetes", "yum"),
        ("engine", "apt"),
        ("engine", "yum"),
        ("epel", "yum"),
    ):
        url = packages.get(name, {}).get(key, "")
        if url.startswith("http://"):
            packages[name][key] = url.replace("http://", "https://", 1)
            variable = f"{'docker' if name == 'engine' else name}_{key}_repo"
            draft.tell(
                variable, "packages are verified, so the repository is asked over https", "is your mirror ready?"
            )


def balancer(draft: Draft, inventory: Inventory) -> bool:
    """Where the load balancer is; whether the group lb carries it."""
    word, address = draft.in_force("lb_mode"), draft.value("lb_kube_apiserver_ip")
    carriers = inventory.members("lb")
    if word == "slb":
        if address:
            draft.put("lb_mode", "loadBalancer.mode", "external")
            draft.put("lb_kube_apiserver_ip", "loadBalancer.address", address)
        else:
            draft.tell("lb_mode", "slb needs lb_kube_apiserver_ip; nodes balance locally instead")
    elif draft.is_set("lb_mode"):
        draft.put("lb_mode", "loadBalancer.engine", word)
    with_vip = word != "slb" and bool(address) and len(carriers) >= 2
    if with_vip:
        draft.put("lb_kube_apiserver_ip", "loadBalancer.mode", "vip")
        draft.put("lb_kube_apiserver_ip", "loadBalancer.vip", address)
    elif carriers or (address and word != "slb"):
        message = f"a VIP needs an address and two hosts in [lb], and there are {len(carriers)}; nodes balance locally"
        draft.tell("lb_kube_apiserver_ip", message)
    _vrrp_password(draft, with_vip=with_vip)
    return with_vip


def _vrrp_password(draft: Draft, *, with_vip: bool) -> None:
    name = "lb_keepalived_password"
    given = draft.value(name)
    if with_vip and (given is None or given in EXAMPLES[name]):
        draft.tell(name, "kubeadm-ha's default is known to everyone; a password is generated instead")
    elif with_vip and _VRRP.fullmatch(given):
        draft.put(name, "loadBalancer.keepalived.password", given)
        draft.tell(name, "it stands in the spec now", "remove it there, and one is generated that no file holds")
    elif given is not None and not with_vip:
        draft.tell(name, "only a VIP has a password; it is left out")
    elif given is not None:
        draft.tell(name, "VRRP takes 1 to 8 letters, digits and . _ + = -; a password is generated instead")


def unsafe_defaults(draft: Draft) -> None:
    """Variables that nobody should have to set: told where the default is a hole, and when somebody did set them."""
    in_use = {"lb_haproxy_stats_password": draft.in_force("lb_mode") == "haproxy"}
    for entry in LEFT:
        if draft.is_set(entry.name):
            draft.tell(entry.name, f"left out: {entry.why}")
        elif entry.unsafe and in_use.get(entry.name, True):
            draft.tell(entry.name, f"kubeadm-ha's default is {entry.unsafe}; here {entry.why}")


RULES: tuple[Callable[[Draft], Any], ...] = (
    images,
    validity,
    alternative_names,
    plugin,
    addons,
    engine,
    repositories,
    unsafe_defaults,
)
