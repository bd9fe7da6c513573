"""Knows the end of docs/kubeadm-ha.md: each of kubeadm-ha's variables with its place in the spec, from the table."""

from collections.abc import Iterator

from generator.importer.table import ALSO, CARRIED, EXAMPLES, LEFT

HEADING = "## Variables and their places"


def page() -> str:
    """The part of the page that shows the table."""
    return "\n".join([*_carried(), *_left()])


def _carried() -> Iterator[str]:
    yield f"{HEADING}\n"
    yield "| variable | in the spec | |"
    yield "|---|---|---|"
    for entry in CARRIED:
        example = f"the default `{EXAMPLES[entry.name][0]}` is not taken over" if entry.name in EXAMPLES else ""
        places = ", ".join(f"`{path}`" for path in entry.path.replace("|", ".").split(", "))
        yield f"| `{entry.name}`{_also(entry.name)} | {places} | {example} |"
    yield ""


def _also(name: str) -> str:
    return "".join(f" (or `{right}`)" for right, wrong in ALSO.items() if wrong == name)


def _left() -> Iterator[str]:
    yield "## Variables without a place\n"
    yield "| variable | why |"
    yield "|---|---|"
    for entry in LEFT:
        unsafe = f"The default is {entry.unsafe}. " if entry.unsafe else ""
        yield f"| `{entry.name}`{_also(entry.name)} | {unsafe}{entry.why[0].upper()}{entry.why[1:]}. |"
    yield ""
