"""Knows how Kubernetes 1.20.2 is built of Debian 12's source package: in a chroot of its own, once."""

import hashlib
import shutil
from pathlib import Path

from tests.lab.cache import cached, cached_folder, remove
from tests.lab.command import run
from tests.lab.image import ALONE, MINUTES
from tests.lab.recipe import SUITE

VERSION = "1.20.2"
KIND = f"kubernetes-{VERSION}"
HERE = Path(__file__).resolve().parent
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    *("golang-go", "dpkg-dev", "make", "rsync", "which", "ca-certificates", "gcc", "libc6-dev"),
    "golang-github-modern-go-reflect2-dev",
)
PROGRAMS = (
    *("kubeadm", "kubectl", "kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
    *("crictl", "pause"),
)
# The build's scripts use <(...), which a bare chroot has no /dev/fd for.
_CHROOT = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'


def kubernetes_programs() -> Path:
    """The folder with kubeadm, kubelet, kubectl, the control plane's programs, kube-proxy, crictl and pause."""
    return cached(KIND, _digest(), _compile)


def is_cached() -> bool:
    """Whether they are there already."""
    return cached_folder(KIND, _digest()).exists()


def _digest() -> str:
    inputs = [HERE / "compile.sh", HERE / "crictl.go", HERE / "pause.c"]
    words = " ".join((VERSION, SUITE, *PACKAGES))
    return hashlib.sha256(words.encode() + b"".join(path.read_bytes() for path in inputs)).hexdigest()


def _compile(folder: Path) -> None:
    root = folder / "root"
    sources = [f"{kind} {MIRROR} {SUITE} main" for kind in ("deb", "deb-src")]
    include = f"--include={','.join(PACKAGES)}"
    bootstrap: list[str | Path] = ["mmdebstrap", "--variant=apt", include, SUITE, root, *sources]
    run([*ALONE, *bootstrap], timeout=20 * MINUTES)
    for name in ("compile.sh", "crictl.go", "pause.c"):
        shutil.copy(HERE / name, root / "root" / name)
    inside: list[str | Path] = [*ALONE, "sh", "-c", _CHROOT, root, "sh", "/root/compile.sh", VERSION]
    run(inside, timeout=60 * MINUTES, log=folder / "compile.log")
    for program in PROGRAMS:
        shutil.move(root / "root/programs" / program, folder / program)
    remove(root)
