"""What cannot be read back is never written, and the words say nothing of what it held."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import LocalError
from generator.render.artefact import Artefact
from generator.render.cloud_init import UserData
from generator.render.node_conf import render_node_conf
from generator.verify import read_node_conf, verify, verify_user_data

KEYS = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text().filter(str.isprintable)
CONF = "- path: /etc/kubeseed/node.conf\n  content: |\n    NODE='m1'\n"
FACTS = f"#cloud-config\nhostname: m1\nwrite_files:\n{CONF}"
SHARED = "- path: /a\n  content: b\nruncmd:\n- [true]\n"


@given(st.dictionaries(KEYS, VALUES))
def test_node_conf_comes_back_as_it_was(conf: dict[str, str]) -> None:
    text = render_node_conf(conf)
    assert read_node_conf(text) == conf
    assert [shlex.split(line)[0].partition("=")[2] for line in text.splitlines()] == list(conf.values())


@pytest.mark.parametrize("value", ["it's", "'", "''", "\\", "$(touch x)", "`id`", '"', "a b", "# c", ";", "ü", "'\\''"])
def test_a_real_shell_reads_the_same(value: str) -> None:
    script = render_node_conf({"KEY": value}) + 'printf %s "$KEY"'
    assert subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout == value


@pytest.mark.parametrize(
    "text",
    ["KEY=value\n", "KEY='a' id\n", "KEY='a\nid'\n", "key='a'\n", "KEY='a'b'\n", "KEY='a'", "id\n", "KEY='a'\\\n"],
)
def test_what_a_shell_would_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"node\.conf"):
        read_node_conf(text)


@pytest.mark.parametrize(
    "path", ["x/kubeadm.yaml", "nodes/m1/meta-data", "nodes/m1/network-config", "a/inventory.json"]
)
def test_what_does_not_parse_is_refused_without_a_word_of_it(path: str) -> None:
    with pytest.raises(LocalError) as refusal:
        verify(Artefact(path, b'sesame: "open\n'))
    assert path in str(refusal.value)
    assert "sesame" not in str(refusal.value)


def test_what_parses_is_given_back() -> None:
    artefact = Artefact("x/a.yaml", b"---\na: 1\n---\nb: 2\n")
    assert verify(artefact) is artefact
    assert verify_user_data("user-data", UserData(FACTS, SHARED)).data.endswith(b"- [true]\n")


@pytest.mark.parametrize(
    ("facts", "shared"),
    [
        ("hostname: m1\n", SHARED),
        ("#cloud-config\nhostname: m1\n", SHARED),
        (FACTS + "runcmd: []\n", SHARED),
        (f"#cloud-config\nwrite_files:\n{CONF}hostname: m1\n", SHARED),
        (FACTS, "- path: /a\n"),
        (FACTS, SHARED + "users: []\n"),
        (FACTS, "- path: [\nruncmd: []\n"),
        (FACTS.replace("NODE='m1'", "NODE=$(id)"), SHARED),
        (FACTS.replace("node.conf", "other.conf"), SHARED),
    ],
)
def test_parts_that_do_not_make_a_whole_are_refused(facts: str, shared: str) -> None:
    with pytest.raises(LocalError, match="cannot be read back"):
        verify_user_data("user-data", UserData(facts, shared))
