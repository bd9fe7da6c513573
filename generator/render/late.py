"""Knows the shell script with which kickstart and preseed finish: it lands what cloud-init's write_files would.

Every line of a landed file begins with `|`, so that none can end the text, or the section of the installer it is in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from generator.plan.seed import Login, Seed
from generator.render.landing import Landed, commands, land_facts, land_scripts
from generator.render.text import one_line, sh
from generator.scripts import Script

_PRELUDE = r"""set -eu
umask 022
# land PATH MODE: stdin, without the | of every line, becomes the file PATH of root.
land() {
  mkdir -p "${1%/*}"
  (umask 077 && sed 's/^|//' >"$1")
  chmod "$2" "$1"
}
# keys USER: stdin holds the public keys that may log in as USER.
keys() {
  home=$(getent passwd "$1" | cut -d: -f6)
  land "$home/.ssh/authorized_keys" 0600
  chmod 0700 "$home/.ssh"
  chown -R "$1:" "$home/.ssh"
  ! command -v restorecon >/dev/null || restorecon -R "$home/.ssh" || :
}
"""
_END = "KUBESEED"


@dataclass(frozen=True, slots=True)
class Late:
    """The script in two parts: `own` is the node's, `shared` the same for every node of the cluster."""

    own: str
    shared: str

    @property
    def text(self) -> str:
        return self.own + self.shared


def render_late(seed: Seed, scripts: Iterable[Script], system: Iterable[str] = ()) -> Late:
    """The script of a node. `system` holds the lines of what else this installer leaves to it."""
    parts = [_PRELUDE, *(f"{line}\n" for line in system)]
    parts += [_here(f"keys {login.name}", "\n".join(login.ssh_keys) + "\n") for login in seed.logins if login.ssh_keys]
    parts += map(land, land_facts(seed))
    return Late("".join(parts), _shared(seed.root, tuple(scripts), commands(seed)))


def land(landed: Landed) -> str:
    """The command that lands one file."""
    return _here(f"land {sh(landed.path)} {landed.mode:04o}", landed.text)


def make_accounts(logins: Iterable[Login]) -> Iterator[str]:
    """Lines that make accounts, for an installer that cannot; a hash is in no argument."""
    for login in logins:
        groups = f" -G {login.group}" if login.group else ""
        yield f"useradd -m -s /bin/bash{groups} {login.name}"
        if login.password_hash:
            yield _here("chpasswd -e", f"{login.name}:{login.password_hash.reveal()}\n", bare=True).rstrip("\n")


def _here(command: str, text: str, *, bare: bool = False) -> str:
    """The command with `text` as its standard input; `bare` leaves out the marks, for one line that needs none."""
    if not text.endswith("\n"):
        raise ValueError("a landed text ends with a line break")
    mark = "" if bare else "|"
    body = text[:-1].replace("\n", f"\n{mark}")
    return f"{command} <<'{_END}'\n{mark}{body}\n{_END}\n"


@lru_cache(maxsize=8)
def _shared(root: str, scripts: tuple[Script, ...], last: tuple[tuple[str, ...], ...]) -> str:
    lines = [" ".join(one_line(word) for word in command) for command in last]
    run = "".join(f"{line} || :\n" for line in lines[:-1]) + f"{lines[-1]}\nsync\n"
    return "".join(map(land, land_scripts(root, scripts))) + run
