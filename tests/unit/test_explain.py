"""What people are told about keys: at the command line, on docs/spec.md and by the starter."""

import os
import re
from pathlib import Path

import pytest
import yaml

from generator.errors import UsageError
from generator.example import load_example
from generator.explain import explain, reference
from generator.parse import parse_cluster
from generator.profile import load_profiles
from generator.spec import shape

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec.md"
# A setting that is commented out: a "#" without a blank behind it.
SWITCHED_OFF = re.compile(r"^( *)#(?=\S|  \S)", re.MULTILINE)


def test_a_key_is_explained_with_its_type_and_default() -> None:
    assert (
        explain("network.podSubnet") == "network.podSubnet <network>\ndefault: 10.244.0.0/18\n\n  Addresses of pods.\n"
    )


def test_a_section_is_explained_with_its_keys() -> None:
    text = explain("loadBalancer")
    assert "engine <one of nginx, haproxy, envoy> = nginx\n" in text
    assert "port <number, 1 to 65535> = 8443\n" in text


def test_indices_do_not_matter() -> None:
    assert explain("nodes[3].mac") == explain("nodes[].mac") == explain("nodes.mac")
    assert "required" in explain("nodes.name")


def test_a_node_points_to_the_defaults_it_inherits() -> None:
    assert "kubeseed explain defaults" in explain("nodes")
    assert "default: defaults.os" in explain("nodes.os")


def test_everything_is_below_nothing() -> None:
    top = {path[0] for path, _ in shape.walk()}
    assert all(f"\n  {key} <" in explain() for key in top)
    everything = explain(recursive=True)
    assert all(re.search(rf"^ +{re.escape(path[-1])} <", everything, re.MULTILINE) for path, _ in shape.walk())


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("netwrok", "did you mean network?"),
        ("network.podSubnets", "did you mean podSubnet?"),
        ("metadata.name.x", "nothing is"),
    ],
)
def test_an_unknown_key_is_a_usage_error_with_the_nearest(path: str, hint: str) -> None:
    with pytest.raises(UsageError, match="the spec has no key") as caught:
        explain(path)
    assert hint in str(caught.value)


@pytest.mark.parametrize("path", [".".join(path) for path, _ in shape.walk()])
def test_every_key_can_be_explained(path: str) -> None:
    assert explain(path).startswith(f"{path} <")


def test_the_reference_page_is_current() -> None:
    """`UPDATE_GOLDEN=1 pytest tests/unit/test_explain.py` writes it anew."""
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(reference())
    assert PAGE.read_text() == reference()


def test_the_reference_page_links_every_section() -> None:
    text = reference()
    headings = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.*)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_what_the_starter_comments_out_is_the_default() -> None:
    """With every setting switched on the starter is the same cluster: its comments never lie."""
    written = load_example("starter")
    switched_on = SWITCHED_OFF.sub(r"\1", written)
    assert len(SWITCHED_OFF.findall(written)) > 30
    profiles = load_profiles()
    assert yaml.safe_load(switched_on) != yaml.safe_load(written)
    assert parse_cluster(switched_on, profiles, strict=True)[0] == parse_cluster(written, profiles, strict=True)[0]
