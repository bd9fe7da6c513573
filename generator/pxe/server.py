"""Knows how dnsmasq is run as a boot server: configuration from OUT, iPXE in its folder, in the foreground."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from generator.disk import describe
from generator.errors import LocalError
from generator.image.program import missing, run
from generator.render.text import render

# Where Debian's package ipxe puts them.
IPXE = Path("/usr/lib/ipxe")
NEEDED = ("undionly.kpxe", "snponly.efi")
# Debian 12 has none for arm64; `kubeseed pxe build-ipxe --arch arm64` makes one.
OPTIONAL = ("ipxe-arm64.efi",)
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./@:+,=-]*")


def configuration(out: Path) -> Path:
    """OUT's dnsmasq.conf. LocalError when the spec has no section `pxe`."""
    path = out / "pxe" / "dnsmasq.conf"
    if not path.is_file():
        hint = "write section pxe into the spec, then: kubeseed generate SPEC -o OUT"
        raise LocalError.because("the cluster does not boot over the network", file=str(path), hint=hint)
    return path


def setting(conf: Path, name: str) -> str:
    """The value of a setting that `generate` wrote once."""
    found = re.search(rf"^{re.escape(name)}=(.*)$", conf.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def prepare(conf: Path, source: Path = IPXE) -> tuple[str, ...]:
    """Fills the folder that TFTP serves and lets dnsmasq judge its configuration; tells which optional files lack."""
    tftp = Path(setting(conf, "tftp-root"))
    with describe(tftp):
        tftp.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in NEEDED + OPTIONAL:
            _place(source / name, tftp / name)
    lacking = [name for name in NEEDED if not (tftp / name).is_file()]
    if lacking:
        hint = "install it, on Debian and Ubuntu: apt install ipxe"
        raise LocalError.because(f"iPXE is not installed: {', '.join(lacking)} is missing", file=str(source), hint=hint)
    run(["dnsmasq", "--test", f"--conf-file={conf}"])
    return tuple(name for name in OPTIONAL if not (tftp / name).is_file())


def _place(source: Path, target: Path) -> None:
    """A copy of `source`, replaced in one step when it differs; nothing when there is no `source`."""
    if not source.is_file() or (target.is_file() and target.read_bytes() == source.read_bytes()):
        return
    new = target.with_suffix(".new")
    shutil.copyfile(source, new)
    new.chmod(0o644)
    new.replace(target)


def check_host() -> None:
    """LocalError unless this machine can be a boot server."""
    if sys.platform != "linux":
        raise LocalError.because("the boot server runs on Linux only", hint="docs/pxe.md says how to use another one")
    if os.geteuid() != 0:
        raise LocalError.because("only root can answer DHCP and TFTP", hint="run the command with sudo")


def become_dnsmasq(conf: Path) -> None:
    """Replaces this process by dnsmasq, which logs to standard error; returns only with an error."""
    program = shutil.which("dnsmasq")
    if program is None:
        raise missing("dnsmasq")
    arguments = ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--pid-file=", f"--conf-file={conf}"]
    os.execv(program, arguments)  # noqa: S606 - the last thing that this process does


def unit(out: Path, program: Path) -> str:
    """The systemd unit that runs the boot server; paths that systemd would read otherwise are refused."""
    conf = configuration(out)
    paths: Mapping[str, Path] = {"program": program, "out": out.resolve(), "tftp": Path(setting(conf, "tftp-root"))}
    for path in paths.values():
        if not _PLAIN_PATH.fullmatch(str(path)):
            raise LocalError.because("a unit needs a path without blanks and special characters", file=str(path))
    return render("pxe/kubeseed-pxe.service.j2", {"interface": setting(conf, "interface"), **paths})
