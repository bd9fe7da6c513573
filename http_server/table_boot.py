"""Knows how machines that boot over the network are shown to a person, and what each of them waits for."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from http_server.model import EnrolmentState

# What templates/pxe/initramfs reports, in words, with what to do. `{out}` and `{node}` are filled in.
CAUSES = {
    "order": "its boot script was incomplete; type: kubeseed generate SPEC -o {out}",
    "no-disk": "the disk that the spec names is not there; correct disk.device of {node}",
    "many-disks": "it has several disks; say in disk.device of {node} which one is meant",
    "small-disk": "the disk is smaller than the image",
    "full-disk": "the disk is not empty. If it may be lost: kubeseed node reinstall {out} {node}; restart the machine",
    "download": "the image did not arrive whole; it tries again",
    "damaged": "the image cannot be unpacked; it tries again. If that goes on, build or add the image anew",
    "write": "the disk cannot be written; it tries again. Look at the disk",
    "digest": "the disk does not hold what was written; it tries again. If that goes on, look at disk and image",
    "seed": "its seed cannot be fetched; type: kubeseed generate SPEC -o {out}",
    "no-root": "the image holds no root file system that the installer can mount",
    "live": "the live system cannot be mounted; does the machine have enough memory?",
}


def boot_lines(status: Mapping[str, Any], out: str) -> Iterator[str]:
    """Installations under way or in trouble, and machines that are no nodes with a line for the spec."""
    for name, node in status["nodes"].items():
        yield from _installation(name, node, out)
    for stranger in status["strangers"]:
        yield from _stranger(stranger)


def _installation(name: str, node: Mapping[str, Any], out: str) -> Iterator[str]:
    boot = node["boot"]
    if not boot:
        return
    if boot["state"] == "armed" and boot["until"] > time.time():
        minutes = (boot["until"] - time.time()) / 60
        yield f"\n{name} is installed anew if its machine boots over the network within {minutes:.0f} minutes"
    elif boot["state"] in {"offered", "installing"}:
        yield f"\n{name} is {boot['state']}, for {time.time() - boot['since']:.0f} s now ({boot['machine']['mac']})"
    elif boot["state"] == "failed":
        advice = CAUSES.get(boot["cause"], boot["cause"]).format(out=out, node=name)
        yield f"\n{name} cannot be installed: {advice}"
    elif boot["state"] == "installed" and node["state"] == EnrolmentState.ISSUED:
        yield f"\n{name} was installed {time.time() - boot['since']:.0f} s ago and has not enrolled yet"


def _stranger(stranger: Mapping[str, Any]) -> Iterator[str]:
    seen = f"seen {stranger['count']} times, last {time.time() - stranger['last']:.0f} s ago from {stranger['peer']}"
    yield f"\na machine asked what to boot and got nothing: {stranger['reason']} ({seen})"
    marks = (f"{key}: {_quoted(stranger[key])}" for key in ("mac", "productUuid", "serial") if stranger[key])
    yield f"  - {{name: NAME, roles: [worker], address: ADDRESS, {', '.join(marks)}}}"


def _quoted(text: str) -> str:
    """A YAML scalar that is a string everywhere."""
    return "'" + text.replace("'", "''") + "'"
