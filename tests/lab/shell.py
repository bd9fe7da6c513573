"""Knows how a test runs a program on a node: in a container's namespaces, or at a virtual machine's lab shell."""

import shlex

from tests.lab.command import LabError
from tests.lab.kubernetes.image import SHELL_PORT
from tests.lab.namespace import Namespace

# Standard error counts only when the program fails; its exit status comes last.
_SCRIPT = "{words} </dev/null 2>/run/lab-shell.$$; code=$?; [ $code = 0 ] || cat /run/lab-shell.$$; echo; echo $code\n"


def in_container(network: Namespace, process: int, words: list[str], timeout: float) -> str:
    """Runs a program in the container with this first process; its standard output."""
    return network.call(["nsenter", "--target", str(process), "--all", *words], timeout=timeout)


def in_machine(network: Namespace, address: str, words: list[str], timeout: float) -> str:
    """The same in the virtual machine at this address."""
    talk = f'printf %s "$0" | socat -t {timeout:.0f} - "TCP4:{address}:{SHELL_PORT},connect-timeout=5"'
    said = network.call(["sh", "-c", talk, _SCRIPT.format(words=shlex.join(words))], timeout=timeout + 10)
    output, _, code = said.rstrip("\n").rpartition("\n")
    if code != "0":
        raise LabError(f"{' '.join(words[:6])} on {address} ended with {code or 'nothing'}:\n{output[-4000:]}")
    return output.removesuffix("\n")
