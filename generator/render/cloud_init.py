"""Knows cloud-init's user-data: `#cloud-config` with no key that the oldest cloud-init of the node's release lacks.

Facts come first and the files that all nodes share come last, so that people see what differs and the shared part is
written, checked and compressed once.
"""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from generator.plan.disk import DataDisk
from generator.plan.seed import Login, Seed
from generator.render.dump import Data, dump_yaml
from generator.render.landing import Landed, commands, land_facts, land_scripts
from generator.scripts import UNIT, Script

HEADER = "#cloud-config\n"
_PREFERS_FQDN = (21, 3)

# NoCloud alone: another datasource of the network could otherwise hand root commands to the node at a later boot.
# In one line, because cloud-init's ds-identify reads it with the shell.
_DATASOURCE = Landed("/etc/cloud/cloud.cfg.d/99-kubeseed.cfg", 0o644, "datasource_list: [NoCloud, None]\n")


@dataclass(frozen=True, slots=True)
class UserData:
    """A user-data in two parts: `facts` is the node's own, `shared` the same for every node of the cluster."""

    facts: str
    shared: str

    @property
    def data(self) -> bytes:
        return f"{self.facts}{self.shared}".encode()

    @property
    def gzipped(self) -> bytes:
        """The same as two gzip members (RFC 1952, section 2.2), so that the shared part is compressed once."""
        return gzip.compress(self.facts.encode(), mtime=0) + _compressed(self.shared)


def render_user_data(seed: Seed, scripts: Iterable[Script]) -> UserData:
    """The user-data of a node; `seed.public` gives the one for plain HTTP."""
    files = "".join(map(_fragment, land_facts(seed)))
    facts = f"{HEADER}{dump_yaml(_names(seed))}{_access(seed.logins)}{_disks(seed.disks)}write_files:\n{files}"
    return UserData(facts, _shared(seed.root, tuple(scripts), commands(seed)))


def _names(seed: Seed) -> dict[str, Data]:
    """The host name. cloud-init takes the part before the first dot unless it is told otherwise."""
    if "." not in seed.hostname:
        return {"hostname": seed.hostname}
    prefer: dict[str, Data] = {"prefer_fqdn_over_hostname": True} if seed.cloud_init >= _PREFERS_FQDN else {}
    return {"hostname": seed.hostname, "fqdn": seed.hostname, **prefer}


@lru_cache(maxsize=8)
def _access(logins: tuple[Login, ...]) -> str:
    """Who may log in, on most nodes the same; /etc/hosts is left to stage base."""
    # Without `users` cloud-init makes an account of its own, and until 22.4 it refuses an empty list; '' is nobody.
    users: list[Data] = [_user(login) for login in logins] or [""]
    return dump_yaml({"manage_etc_hosts": False, "ssh_pwauth": False, "users": users})


def _user(login: Login) -> dict[str, Data]:
    user: dict[str, Data] = {"name": login.name, "shell": "/bin/bash"}
    if login.group:
        user["groups"] = login.group
    # The hash comes with the node's files: cloud-init would hand it to useradd as an argument, for all to see.
    user["lock_passwd"] = True
    return user | ({"ssh_authorized_keys": login.ssh_keys} if login.ssh_keys else {})


@lru_cache(maxsize=8)
def _disks(disks: tuple[DataDisk, ...]) -> str:
    """File systems on whole disks. One that is there already, by its label and type, is kept with what it holds."""
    if not disks:
        return ""
    return dump_yaml({
        "fs_setup": [
            {"label": disk.label, "filesystem": "ext4", "device": disk.device, "partition": "none", "overwrite": False}
            for disk in disks
        ],
        "mounts": [[disk.device, disk.mount, "ext4", "defaults", "0", "2"] for disk in disks],
    })  # fmt: skip


@lru_cache(maxsize=8)
def _fragment(landed: Landed) -> str:
    """One entry of `write_files`; a node's sealed and its public seed share most of theirs."""
    return dump_yaml([_entry(landed)])


def _entry(landed: Landed) -> dict[str, Data]:
    return {"path": landed.path, "permissions": f"{landed.mode:04o}", "content": landed.text}


@lru_cache(maxsize=8)
def _shared(root: str, scripts: tuple[Script, ...], last: tuple[tuple[str, ...], ...]) -> str:
    """The rest of `write_files`, and `runcmd`, which does not wait for the unit: a bootstrap outlasts cloud-init.

    Where the unit is enabled, systemd reads all units anew.
    """
    entries = [_entry(landed) for landed in (*land_scripts(root, scripts), _DATASOURCE)]
    start = ["systemctl", "start", "--no-block", UNIT]
    return dump_yaml(entries) + dump_yaml({"runcmd": [*last, ["sync"], start]})


@lru_cache(maxsize=8)
def _compressed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)
