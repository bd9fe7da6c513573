"""Holds the shape of the code: imports go down only, effects stay at the edges, nothing grows too large."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("generator", "http_server")
FILE_LIMIT = 400
FUNCTION_LIMIT = 50
FUNCTION_MEDIAN = 9

# A module belongs to the longest prefix that names it. It may import from lower floors, and from its own entry.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "generator.errors",
        "generator.secret",
        "generator.value",
        "generator.resource",
        "generator.nearest",
        "generator.root_step",
    ),
    (
        "generator.spec",
        "generator.profile",
        "generator.mirror",
        "generator.proof",
        "generator.source",
        "generator.root",
        "generator.scripts",
        "generator.example",
    ),
    ("generator.check", "generator.bundle"),
    ("generator.parse", "generator.schema", "generator.explain", "generator.rollover"),
    ("generator.render.artefact", "generator.render.dump", "generator.render.text"),
    ("generator.plan",),
    ("generator.render",),
    ("generator.verify",),
    ("generator.disk", "generator.manifest", "generator.iso"),
    ("generator.files", "generator.output", "generator.console"),
    ("generator.diff", "generator.impact", "generator.password", "generator.vm", "generator.image"),
    ("generator.pxe", "generator.importer"),
    ("generator.workspace",),
    ("generator.cli_spec",),
    ("generator.cli_generate", "generator.cli_import", "generator.cli_pxe", "generator.cli_seed"),
    ("generator.cli",),
)
SERVER_FLOORS: tuple[tuple[str, ...], ...] = (
    ("http_server.errors", "http_server.secret", "http_server.clock", "http_server.failpoint", "http_server.inventory"),
    ("http_server.model", "http_server.settings"),
    ("http_server.boot",),
    ("http_server.sighting",),
    ("http_server.ports", "http_server.audit_chain", "http_server.private_file", "http_server.archive"),
    ("http_server.daemon", "http_server.workers", "http_server.unit"),
    ("http_server.manifest",),
    ("http_server.order", "http_server.content_key"),
    (
        "http_server.wire",
        "http_server.backups",
        "http_server.form",
        "http_server.pki",
        "http_server.limit",
        "http_server.bell",
        "http_server.board",
        "http_server.body",
        "http_server.metrics",
    ),
    ("http_server.keyring", "http_server.keyset", "http_server.identity", "http_server.store_rows"),
    ("http_server.store_batch", "http_server.etcd", "http_server.audit_log", "http_server.alarms"),
    ("http_server.store_words", "http_server.shelf"),
    (
        "http_server.store_sqlite",
        "http_server.store_etcd",
        "http_server.kubernetes_api",
        "http_server.inventory_file",
        "http_server.assets",
        "http_server.authenticate",
    ),
    ("http_server.store_history", "http_server.store_copy"),
    ("http_server.service",),
    ("http_server.ui",),
    ("http_server.routes",),
    ("http_server.openapi",),
    ("http_server.request_log", "http_server.connection", "http_server.response"),
    ("http_server.app", "http_server.admin", "http_server.table_boot"),
    ("http_server.table",),
    ("http_server.server", "http_server.restore", "http_server.rekey"),
    ("http_server.coordinator",),
    ("http_server.upkeep",),
    ("http_server.cli",),
    ("http_server.cli_backup", "http_server.cli_restore", "http_server.cli_store"),
)
# Only these start processes.
PROCESS_MODULES = ("generator.vm", "generator.image", "generator.pxe", "generator.cli")


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(module: str, floors: tuple[tuple[str, ...], ...]) -> tuple[int, str] | None:
    """The floor and entry of a module: the longest entry that is the module or one of its parents."""
    found = [
        (len(entry), floor, entry)
        for floor, entries in enumerate(floors)
        for entry in entries
        if module == entry or module.startswith(f"{entry}.")
    ]
    return max(found)[1:] if found else None


def climbs(module: str, path: Path, floors: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    own = place(module, floors)
    if own is None:
        return
    for target in imports(path):
        there = place(target, floors)
        if there and there[1] != own[1] and there[0] >= own[0]:
            yield f"{module} (floor {own[0]}) imports {target} (floor {there[0]})"


@pytest.mark.parametrize("floors", [FLOORS, SERVER_FLOORS], ids=["generator", "http_server"])
def test_imports_go_down_only(floors: tuple[tuple[str, ...], ...]) -> None:
    assert [line for module, path in modules() for line in climbs(module, path, floors)] == []


def test_every_module_has_a_floor() -> None:
    bare = {"generator", "http_server"}
    homeless = [
        name for name, _ in modules() if name not in bare and not (place(name, FLOORS) or place(name, SERVER_FLOORS))
    ]
    assert homeless == []


def test_every_entry_is_a_module() -> None:
    there = {name for name, _ in modules()}
    entries = {entry for floors in (FLOORS, SERVER_FLOORS) for floor in floors for entry in floor}
    assert entries - there == set()


def test_the_coordinator_never_imports_the_generator() -> None:
    found = [
        (name, target)
        for name, path in modules()
        if name.startswith("http_server")
        for target in imports(path)
        if target.split(".")[0] == "generator"
    ]
    assert found == []


def test_the_generator_meets_the_coordinator_only_in_its_command() -> None:
    found = [
        (name, target)
        for name, path in modules()
        if name.startswith("generator") and not name.startswith("generator.cli")
        for target in imports(path)
        if target.split(".")[0] == "http_server"
    ]
    assert found == []


def test_processes_are_started_at_the_edges_only() -> None:
    found = [
        name for name, path in modules() if "subprocess" in set(imports(path)) and not name.startswith(PROCESS_MODULES)
    ]
    assert found == []


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (
                f"{path.relative_to(ROOT)}:{node.lineno} {node.name}",
                (node.end_lineno or node.lineno) - node.lineno + 1,
            )


def test_files_stay_small() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for _, path in modules()}
    assert {name: lines for name, lines in sizes.items() if lines > FILE_LIMIT} == {}


def test_functions_stay_small() -> None:
    lengths = [found for _, path in modules() for found in functions(path)]
    assert [(name, lines) for name, lines in lengths if lines > FUNCTION_LIMIT] == []
    assert statistics.median(lines for _, lines in lengths) <= FUNCTION_MEDIAN


def test_every_module_says_what_it_knows() -> None:
    assert [name for name, path in modules() if not ast.get_docstring(ast.parse(path.read_text()))] == []
