"""What each installer's file makes of a machine, read back the way the installer would: files, commands, accounts."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from generator.verify import late_script, read_landed

# What an installer has to say to its own system, and cloud-init to itself; everything else is the same everywhere.
OWN = (
    "/etc/NetworkManager/", "/etc/network/", "/etc/systemd/network/", "/etc/resolv.conf", "/etc/cloud/",
)  # fmt: skip


@dataclass(frozen=True)
class Account:
    """An account; `password` is empty where it is locked."""

    group: str
    password: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a node is once its installer, or cloud-init, has done its work."""

    files: Mapping[str, tuple[int, str]]
    commands: tuple[str, ...]
    accounts: Mapping[str, Account]

    @property
    def landed(self) -> Mapping[str, tuple[int, str]]:
        """The files that every installer lands."""
        return {path: file for path, file in self.files.items() if not path.startswith(OWN)}


def of_user_data(text: str) -> Outcome:
    return _of_cloud_config(yaml.safe_load(text))


def of_autoinstall(text: str) -> Outcome:
    return _of_cloud_config(yaml.safe_load(text)["autoinstall"]["user-data"])


def _of_cloud_config(tree: Mapping[str, Any]) -> Outcome:
    files = {entry["path"]: (int(entry["permissions"], 8), entry["content"]) for entry in tree["write_files"]}
    commands = tuple(" ".join(command) for command in tree["runcmd"])
    accounts = {
        user["name"]: Account(
            user.get("groups", ""),
            "" if user["lock_passwd"] else user["passwd"],
            tuple(user.get("ssh_authorized_keys", ())),
        )
        for user in filter(None, tree["users"])
    }
    return Outcome(files, commands, accounts)


def of_kickstart(text: str) -> Outcome:
    script = text.partition("\n%post ")[2].partition("\n")[2].removesuffix("%end\n")
    accounts = {}
    for line in (shlex.split(line) for line in text.splitlines() if line.startswith("user ")):
        options = dict(word.removeprefix("--").partition("=")[::2] for word in line[1:])
        password = options.get("password", "")
        accounts[options["name"]] = Account(options.get("groups", ""), password, _keys(script, options["name"]))
    return Outcome(read_landed(script), _commands(script), accounts)


def of_preseed(text: str) -> Outcome:
    script = late_script(text)
    hashes = dict(re.findall(r"^chpasswd -e <<'KUBESEED'\n([^:\n]+):(.*)$", script, re.MULTILINE))
    made = re.findall(r"^useradd -m -s /bin/bash(?: -G (\S+))? (\S+)$", script, re.MULTILINE)
    accounts = {name: Account(group, hashes.get(name, ""), _keys(script, name)) for group, name in made}
    return Outcome(read_landed(script), _commands(script), accounts)


def _keys(script: str, name: str) -> tuple[str, ...]:
    found = re.search(rf"^keys {name} <<'KUBESEED'\n((?:\|.*\n)*)KUBESEED$", script, re.MULTILINE)
    return tuple(line.removeprefix("|") for line in found[1].splitlines()) if found else ()


def _commands(script: str) -> tuple[str, ...]:
    """What runs after the last landed file."""
    last = script.rpartition("\nKUBESEED\n")[2]
    return tuple(line.removesuffix(" || :") for line in last.splitlines())
