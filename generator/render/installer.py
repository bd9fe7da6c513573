"""Knows which file each installer reads, and who renders it."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from generator.plan.install import Install
from generator.plan.seed import Seed
from generator.profile import Installer
from generator.render.autoinstall import render_autoinstall
from generator.render.kickstart import render_kickstart
from generator.render.preseed import render_preseed
from generator.scripts import Script


class _Format(NamedTuple):
    """An installer's file: its name in the node's folder, and its renderer."""

    name: str
    render: Callable[[Seed, Install, Iterable[Script]], bytes]


_FORMATS: Mapping[Installer, _Format] = {
    Installer.KICKSTART: _Format("kickstart.cfg", render_kickstart),
    Installer.PRESEED: _Format("preseed.cfg", render_preseed),
    Installer.AUTOINSTALL: _Format("autoinstall.yaml", render_autoinstall),
}


def render_installation(seed: Seed, install: Install, scripts: Iterable[Script]) -> tuple[str, bytes]:
    """The name and the bytes of what the node's installer reads."""
    name, render = _FORMATS[install.installer]
    return name, render(seed, install, scripts)
