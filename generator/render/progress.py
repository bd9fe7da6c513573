"""Knows how an installer that was booted over the network tells the coordinator how far it is (docs/pxe.md)."""

from enum import StrEnum

from generator.render.text import sh

# The number of the run, which only the coordinator knows; it is on the kernel's command line.
_RUN = r"run=$(sed -n 's/.*kubeseed\.run=\([0-9a-f]*\).*/\1/p' /proc/cmdline)"
_TRIES = " ".join(map(str, range(1, 31)))


class Client(StrEnum):
    """What sends the word: installers have one or the other. Both send a form by POST.

    debian-installer's wget is GNU's or busybox's and has no proxy in its environment.
    """

    WGET = "wget -q -O /dev/null --post-data"
    CURL = "curl -q -sS -f --noproxy '*' -o /dev/null --data"


def report_started(url: str, node: str, client: Client) -> str:
    """One line of shell; the installation goes on if nobody hears it."""
    return f"{_RUN}; {_send(url, node, 'started', client)} || :"


def report_installed(url: str, node: str, client: Client) -> str:
    """The same with patience: a machine whose word is lost is installed again."""
    return f"{_RUN}; for try in {_TRIES}; do {_send(url, node, 'installed', client)} && break; sleep 10; done"


def _send(url: str, node: str, state: str, client: Client) -> str:
    return f'{client} "node={node}&run=$run&state={state}" {sh(f"{url}/boot/report")}'
