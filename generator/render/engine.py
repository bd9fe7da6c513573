"""Knows the container engine's files: containerd's config.toml and hosts.toml, docker's daemon.json, crictl.yaml."""

import tomllib
from collections.abc import Mapping

import tomli_w

from generator.plan.engine import Registry, cri_socket, docker_mirrors, pause_image, plan_registries
from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_json, dump_yaml
from generator.render.text import render
from generator.spec.cluster import Cluster
from generator.spec.engine import EngineName
from generator.spec.packages import Proxy

CERTS = "/etc/containerd/certs.d"
_CRI = "io.containerd.grpc.v1.cri"


def render_engine(cluster: Cluster) -> tuple[Artefact, ...]:
    """The engine's files; the same on every node."""
    files = _containerd(cluster) if cluster.engine.name is EngineName.CONTAINERD else _docker(cluster)
    return (*files, _crictl(cluster), *_proxy(cluster.packages.proxy))


def containerd_configuration(cluster: Cluster) -> dict[str, Data]:
    """config.toml of version 2: native to containerd 1.x, and 2.x reads it as it is."""
    engine = cluster.engine
    own = engine.containerd
    return {
        "version": 2,
        "root": engine.data_directory,
        "state": own.state_dir,
        "oom_score": own.oom_score,
        "grpc": {
            "max_recv_message_size": own.grpc_max_recv_message_size,
            "max_send_message_size": own.grpc_max_send_message_size,
        },
        "debug": {"level": own.log_level.value},
        "metrics": {"address": own.metrics_address or "", "grpc_histogram": own.metrics_grpc_histogram},
        "plugins": {_CRI: _cri(cluster)},
    }


def _cri(cluster: Cluster) -> dict[str, Data]:
    own = cluster.engine.containerd
    return {
        "sandbox_image": pause_image(cluster),
        "restrict_oom_score_adj": cluster.engine.restrict_oom_score_adj,
        "max_container_log_line_size": own.max_container_log_line_size,
        "containerd": {
            "default_runtime_name": own.default_runtime,
            "snapshotter": own.snapshotter,
            "runtimes": {"runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}},
        },
        "registry": {"config_path": CERTS},
    }


def _containerd(cluster: Cluster) -> tuple[Artefact, ...]:
    extra = tomllib.loads(cluster.engine.containerd.extra_config or "")
    configuration = laid_over(containerd_configuration(cluster), extra)
    registries = (_hosts(registry) for registry in plan_registries(cluster.engine))
    return (Artefact("containerd.toml", tomli_w.dumps(configuration).encode()), *registries)


def laid_over(below: Mapping[str, Data], above: Mapping[str, Data]) -> dict[str, Data]:
    """`below` with the values of `above`; where both are mappings, key by key."""
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def _laid_over(below: Data, above: Data) -> Data:
    return laid_over(below, above) if isinstance(below, Mapping) and isinstance(above, Mapping) else above


def _hosts(registry: Registry) -> Artefact:
    """hosts.toml of one registry; without `server`, containerd asks the registry itself when no host has the image."""
    hosts: dict[str, Data] = {
        host.url: {"capabilities": ["pull", "resolve"], **({} if host.verify else {"skip_verify": True})}
        for host in registry.hosts
    }
    return Artefact(f"containerd/certs.d/{registry.name}/hosts.toml", tomli_w.dumps({"host": hosts}).encode())


def _docker(cluster: Cluster) -> tuple[Artefact, ...]:
    return (Artefact("docker.json", dump_json(docker_configuration(cluster)).encode()),)


def docker_configuration(cluster: Cluster) -> dict[str, Data]:
    """daemon.json (docs.docker.com/reference/cli/dockerd). Log sizes are strings there."""
    engine = cluster.engine
    own = engine.docker
    mirrors, insecure = docker_mirrors(engine), engine.insecure_registries
    return {
        "data-root": engine.data_directory,
        "exec-opts": ["native.cgroupdriver=systemd"],
        "storage-driver": "overlay2",
        "bip": own.bip,
        "log-driver": own.log_driver,
        "log-level": own.log_level.value,
        "log-opts": {"max-size": engine.log_max_size, "max-file": str(engine.log_max_files)},
        "max-concurrent-downloads": own.max_concurrent_downloads,
        **({"registry-mirrors": mirrors} if mirrors else {}),
        **({"insecure-registries": insecure} if insecure else {}),
    }


def _crictl(cluster: Cluster) -> Artefact:
    socket = cri_socket(cluster)
    endpoint = socket if "://" in socket else f"unix://{socket}"
    configuration: dict[str, Data] = {
        "runtime-endpoint": endpoint,
        "image-endpoint": endpoint,
        "timeout": 30,
        "debug": False,
    }
    return Artefact("crictl.yaml", dump_yaml(configuration).encode())


def _proxy(proxy: Proxy) -> tuple[Artefact, ...]:
    """The drop-in of the engine's service; nothing without a proxy."""
    if not (proxy.http or proxy.https):
        return ()
    variables = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https, "NO_PROXY": ",".join(proxy.no_proxy)}
    given = {name: _quoted(value) for name, value in variables.items() if value}
    return (Artefact("engine-proxy.conf", render("engine/proxy.conf.j2", {"variables": given}).encode()),)


def _quoted(value: str) -> str:
    """Inside double quotes of a unit file, where % opens a specifier (systemd.syntax(7), systemd.unit(5))."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
