"""Knows the image of a Kubernetes node: Debian, an engine, balancers, etcd, our Kubernetes, its images loaded."""

import hashlib
import shutil
from pathlib import Path

from tests.lab.command import run
from tests.lab.image import ALONE, MINUTES, built
from tests.lab.kubernetes.archive import with_libraries, write_archive
from tests.lab.kubernetes.compile import VERSION, kubernetes_programs
from tests.lab.recipe import DEBIAN, Recipe

HERE = Path(__file__).resolve().parent
REGISTRY = "registry.k8s.io"
# The tags that kubeadm 1.20.2 asks for (cmd/kubeadm/app/constants); what is inside etcd's is Debian's 3.4.23.
PAUSE, ETCD, COREDNS = "pause:3.2", "etcd:3.4.13-0", "coredns:1.7.0"
ON_NODES = ("kubeadm", "kubelet", "kubectl", "crictl")
_TABLES = [f"/usr/sbin/{family}{verb}" for family in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")]
PROXY_NEEDS = (*_TABLES, "/usr/sbin/conntrack", "/usr/sbin/ipset", "/usr/bin/kmod")
# A pod network for one node at a time: pods of different nodes do not meet, and nothing in the proofs needs them to.
CONFLIST = """{
  "cniVersion": "0.3.1",
  "name": "lab",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
"""
# Containers are entered from outside; in a virtual machine nothing else of the lab's network runs commands for us.
SHELL_PORT = 2323
_SHELL = f"""[Unit]
Description=A root shell for the tests, in a network where nobody else is
ConditionVirtualization=vm
After=network.target
[Service]
ExecStart=/usr/bin/socat -t 600 TCP-LISTEN:{SHELL_PORT},fork,reuseaddr EXEC:/bin/sh
Restart=always
[Install]
WantedBy=multi-user.target
"""
NODE = Recipe(
    "kubernetes",
    (
        *DEBIAN.packages,
        *("containerd", "runc", "containernetworking-plugins", "conntrack", "iptables", "ebtables", "ethtool", "socat"),
        *("ipset", "ipvsadm", "iputils-ping", "jq", "etcd-server", "etcd-client", "haproxy", "keepalived"),
        *("nginx", "libnginx-mod-stream"),
    ),
    {
        **DEBIAN.files,
        "etc/cni/net.d/10-lab.conflist": CONFLIST,
        "etc/systemd/system/lab-shell.service": _SHELL,
    },
    enable=(*DEBIAN.enable, "lab-shell.service"),
    disable=("etcd.service", "haproxy.service", "keepalived.service", "nginx.service", "containerd.service"),
    mask=DEBIAN.mask,
    megabytes=6144,
)


def kubernetes_image() -> Path:
    """The image folder of a node that has to fetch nothing."""
    programs = kubernetes_programs()
    ours = [Path(__file__), HERE / "archive.py", HERE / "load.sh"]
    inputs = (programs.name, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in ours))
    return built(NODE, lambda root: _finish(root, programs), *inputs)


def _finish(root: Path, programs: Path) -> None:
    for name in ON_NODES:
        shutil.copy(programs / name, root / "usr/bin" / name)
    shutil.copytree(root / "usr/lib/cni", root / "opt/cni/bin", dirs_exist_ok=True)
    archives = root / "root/archives"
    archives.mkdir()
    _write_archives(archives, root, programs)
    _load(root)
    shutil.rmtree(archives)


def _write_archives(folder: Path, root: Path, programs: Path) -> None:
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        write_archive(
            folder / f"{name}.tar", [f"{REGISTRY}/{name}:v{VERSION}"], {f"/usr/local/bin/{name}": programs / name}
        )
    proxy = {**with_libraries(root, PROXY_NEEDS), "/usr/local/bin/kube-proxy": programs / "kube-proxy"}
    proxy.update({str(Path("/") / file.relative_to(root)): file for file in root.glob("usr/lib/*/xtables/*.so")})
    write_archive(folder / "kube-proxy.tar", [f"{REGISTRY}/kube-proxy:v{VERSION}"], proxy)
    etcd = with_libraries(root, ["/usr/bin/etcd", "/usr/bin/etcdctl"])
    write_archive(folder / "etcd.tar", [f"{REGISTRY}/{ETCD}"], etcd)
    write_archive(folder / "pause.tar", [f"{REGISTRY}/{PAUSE}"], {"/pause": programs / "pause"}, ["/pause"])
    # Debian has no CoreDNS, and kubeadm goes nowhere without its image: this one starts, and answers nobody.
    write_archive(folder / "coredns.tar", [f"{REGISTRY}/{COREDNS}"], {"/coredns": programs / "pause"}, ["/coredns"])


def _load(root: Path) -> None:
    """Fills the engine's store once: on a node it would take a minute and a half."""
    shutil.copy(HERE / "load.sh", root / "root/load.sh")
    for folder in ("proc", "sys", "dev"):
        (root / folder).mkdir(exist_ok=True)
    run([*ALONE, "sh", HERE / "load.sh", root], timeout=10 * MINUTES)
    (root / "root/load.sh").unlink()
