"""Knows package sources as apt (sources.list(5)) and dnf (dnf.conf(5)) read them, their keys, and packages' names."""

from collections.abc import Iterator, Mapping

from generator.plan.packages import Source
from generator.profile import PackageManager
from generator.render.artefact import Artefact
from generator.render.text import one_line, render


def render_packages(
    manager: PackageManager, sources: tuple[Source, ...], names: Mapping[str, tuple[str, ...]]
) -> Iterator[Artefact]:
    """`packages.apt` or `packages.rpm`, `keys/*`, `packages.names`; `packages.replace` where the OS's own give way."""
    name = "packages.apt" if manager is PackageManager.APT else "packages.rpm"
    values = {"sources": sources, "lines": [line for source in sources for line in _apt_lines(source)]}
    yield Artefact(name, render(f"packages/{name}.j2", values).encode())
    for source in sources:
        yield from _key(source)
    if any(source.replaces for source in sources):
        yield Artefact("packages.replace", b"The distribution's own package sources stand aside.\n")
    lines = (one_line(" ".join((group, *packages))) for group, packages in names.items())
    yield Artefact("packages.names", "".join(f"{line}\n" for line in lines).encode())


def _apt_lines(source: Source) -> Iterator[str]:
    """One line for each suite; a flat repository has no components."""
    options = [f"arch={','.join(source.arches)}"] if source.arches else []
    options += [f"signed-by={source.keyring}"] if source.keyring else []
    for suite in source.suites:
        words = ("deb", f"[{' '.join(options)}]" if options else "", source.url, suite)
        yield " ".join(word for word in (*words, *(() if suite == "/" else source.components)) if word)


def _key(source: Source) -> Iterator[Artefact]:
    """The key itself, or a line with the URL where the node fetches it."""
    if source.key and source.key.text:
        yield Artefact(f"keys/{source.name}.asc", source.key.text.encode())
    elif source.key:
        yield Artefact(f"keys/{source.name}.url", f"{one_line(source.key.url)}\n".encode())
