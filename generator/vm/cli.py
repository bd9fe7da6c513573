"""Knows the commands `kubeseed vm up`, `down` and `list`. Their work is imported when they run."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from generator.vm.machine import Acceleration, DriverName

OutFolder = Annotated[
    Path, typer.Argument(metavar="OUT", help="The folder that `generate` wrote.", show_default=False, readable=False)
]
Nodes = Annotated[
    list[str] | None, typer.Argument(metavar="NODE", help="Nodes of the cluster. Default: all.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]


def up(
    out: OutFolder,
    nodes: Nodes = None,
    *,
    image: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="A cloud image, or a folder with disk, kernel and root.",
            show_default=False,
            readable=False,
        ),
    ],
    driver: Annotated[DriverName, typer.Option(help="Virtual machines, or containers that boot.")] = DriverName.QEMU,
    boot_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Nodes fetch their seeds here (coordinator.bootUrl). Default: from a disk."),
    ] = None,
    bridge: Annotated[
        str | None, typer.Option(metavar="NAME", help="A bridge of this host. Default: QEMU's user network.")
    ] = None,
    accel: Annotated[Acceleration, typer.Option(help="`auto` takes KVM when it proves itself.")] = Acceleration.AUTO,
    memory: Annotated[int, typer.Option(min=256, metavar="MIB", help="Of each virtual machine.")] = 4096,
    cpus: Annotated[int, typer.Option(min=1, help="Of each virtual machine.")] = 2,
    deadline: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="Machines that are not ready by then are powered off.")
    ] = 1800,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the nodes.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the nodes' old disks away first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Boot nodes on this machine and follow them until they are ready. Their disks are kept in OUT/vm."""
    from generator.vm.operation import Order, power_up

    order = Order(image, driver, bridge, boot_url, accel, memory, cpus, fresh)
    result = power_up(out, nodes or [], order, _teller(quiet=as_json), None if detach else deadline)
    _finish(result, as_json=as_json)


def down(
    out: OutFolder,
    nodes: Nodes = None,
    *,
    cut: Annotated[bool, typer.Option("--cut", help="Cut the power: what a node has not written is lost.")] = False,
    deadline: Annotated[int, typer.Option(min=0, metavar="SECONDS", help="Then the power is cut.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Power nodes off. Their disks stay: `vm up` starts them again."""
    from generator.vm.operation import power_down

    _finish(power_down(out, nodes or [], 0 if cut else deadline, _teller(quiet=as_json)), as_json=as_json)


def list_machines(out: OutFolder, as_json: AsJson = False) -> None:
    """Show the machines of OUT."""
    from generator.vm.operation import listed, table

    rows = listed(out)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        typer.echo(table(rows))


def _teller(*, quiet: bool) -> Any:
    """Prints one line for each event; to standard error when the result is wanted as JSON."""

    def say(seconds: float, node: str, words: str) -> None:
        typer.echo(f"{seconds:7.1f} s  {node:<12} {words}", err=quiet)

    return say


def _finish(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, indent=1))


def register(app: typer.Typer) -> None:
    """Mounts `kubeseed vm` on the program."""
    vm = typer.Typer(help="Try a cluster on this machine (needs Linux).", no_args_is_help=True)
    vm.command()(up)
    vm.command()(down)
    vm.command("list")(list_machines)
    app.add_typer(vm, name="vm")
