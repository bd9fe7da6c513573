"""The same spec, clock and randomness give these paths, modes and bytes, no more and no fewer: make golden."""

import gzip
import json
from hashlib import sha256
from pathlib import Path

import pytest

from tests.golden.case import HERE, LISTING, SPECS, Found, generate, listing, read_tree, readable

Tree = dict[str, Found]


@pytest.fixture(scope="module", params=SPECS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tree]:
    out = tmp_path_factory.mktemp(request.param)
    generate(SPECS[request.param], out)
    return request.param, read_tree(out)


def test_the_bytes_are_the_golden_ones(case: tuple[str, Tree]) -> None:
    name, tree = case
    golden = {path: found.data for path, found in read_tree(HERE / name / "tree").items()}
    found = readable(tree)
    differ = [path for path in golden.keys() & found.keys() if golden[path] != found[path]]
    assert sorted(differ) == [], (golden[differ[0]].decode(), found[differ[0]].decode())
    assert sorted(found) == sorted(golden)


def test_paths_modes_and_digests_are_the_golden_ones(case: tuple[str, Tree]) -> None:
    name, tree = case
    assert listing(tree).splitlines() == (HERE / name / LISTING).read_text().splitlines()


def test_the_manifest_tells_of_every_file(case: tuple[str, Tree]) -> None:
    _, tree = case
    entries = json.loads(tree["manifest.json"].data)["artefacts"]
    told = {path: (entry["sha256"], entry["mode"]) for path, entry in entries.items()}
    there = {path: (sha256(found.data).hexdigest(), f"{found.mode:04o}") for path, found in tree.items()}
    assert told == {path: found for path, found in there.items() if path != "manifest.json"}


def test_the_compressed_user_data_is_the_plain_one(case: tuple[str, Tree]) -> None:
    _, tree = case
    compressed = [path for path in tree if path.endswith(".gz")]
    assert compressed
    assert [
        path for path in compressed if gzip.decompress(tree[path].data) != tree[path.removesuffix(".gz")].data
    ] == []


def test_a_second_run_gives_the_same_bytes(case: tuple[str, Tree], tmp_path: Path) -> None:
    name, tree = case
    generate(SPECS[name], tmp_path)
    assert read_tree(tmp_path) == tree


def test_a_surplus_file_would_be_noticed(case: tuple[str, Tree]) -> None:
    name, tree = case
    golden = (HERE / name / LISTING).read_text()
    assert listing({**tree, "pxe/surplus": Found(0o644, b"")}) != golden
    assert listing({path: Found(0o644, found.data) for path, found in tree.items()}) != golden
