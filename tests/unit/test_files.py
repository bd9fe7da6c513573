"""What `generate` renders: limits, secrets, what each change touches, and hostile text that arrives as it was."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.bundle import Bundle, renew_bundle
from generator.errors import SpecError
from generator.files import Inputs, render_files
from generator.mirror import load_mirrors
from generator.parse import parse_cluster
from generator.profile import load_profiles
from generator.render.artefact import Artefact
from generator.scripts import LIBRARY, load_scripts
from generator.verify import read_node_conf
from http_server.inventory import parse_inventory
from tests.fixed import NOW, fixed_random

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE: Mapping[str, Any] = yaml.safe_load((ROOT / "profiles/cluster/ha.yaml").read_text())
HASH = "$6$saltsalt$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./abcdefghijklmnopqrstuv"
Files = Mapping[str, Artefact]


PROFILES, MIRRORS, SCRIPTS = load_profiles(), load_mirrors(), load_scripts()


def inputs(spec: Mapping[str, Any], bundle: Bundle | None = None) -> Inputs:
    cluster, _ = parse_cluster(yaml.safe_dump(spec), PROFILES)
    names = [node.name for node in cluster.nodes]
    renewed = renew_bundle(bundle, cluster.metadata.name, names, now=NOW, random=fixed_random(str(names)))
    return Inputs(cluster, "0" * 64, PROFILES, MIRRORS, renewed, SCRIPTS)


def render(given: Inputs) -> Files:
    return {artefact.path: artefact for artefact in render_files(given)}


def example(**changes: Any) -> dict[str, Any]:
    return {**EXAMPLE, **changes}


def with_users(*users: Mapping[str, Any]) -> dict[str, Any]:
    return example(defaults={**EXAMPLE["defaults"], "users": list(users)})


@cache
def ha() -> Files:
    return render(inputs(with_users({"name": "ops", "sshKeys": ["ssh-ed25519 AAAA"], "passwordHash": HASH})))


def user_data(files: Files, node: str, folder: str = "nodes") -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(files[f"{folder}/{node}/user-data"].data)
    return tree


def landed(tree: Mapping[str, Any]) -> dict[str, str]:
    return {entry["path"]: entry["content"] for entry in tree["write_files"]}


def changed(before: Files, after: Files) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_a_seed_fits_into_what_clouds_take() -> None:
    """AWS takes 16 KiB, gzipped or not; 64 KiB is the limit of OpenStack and of most others."""
    sizes = {path: len(artefact.data) for path, artefact in ha().items() if "/user-data" in path}
    assert max(size for path, size in sizes.items() if path.endswith(".gz")) <= 16 << 10
    assert max(size for path, size in sizes.items() if not path.endswith(".gz")) <= 64 << 10


def test_the_scripts_arrive_as_they_were_written() -> None:
    files = landed(user_data(ha(), "m1"))
    for script in SCRIPTS.seed:
        assert files[script.path] == script.text
    source = (ROOT / "templates/node/run").read_text().splitlines()
    kept = files[f"{LIBRARY}/run"].splitlines()
    assert kept == source[:2] + [line for line in source[2:] if not line.startswith("#")]


def test_every_key_of_node_conf_is_documented_and_there() -> None:
    text = (ROOT / "docs/node.md").read_text()
    table = text[text.index("## node.conf") : text.index("## The node's files")]
    documented = {
        key for cell in re.findall(r"^\| ([A-Z][A-Z_ /]*) \|", table, re.MULTILINE) for key in cell.split(" / ")
    }
    assert set(read_node_conf(landed(user_data(ha(), "w1"))["/etc/kubeseed/node.conf"])) == documented


def test_secrets_are_only_where_they_belong() -> None:
    given = inputs(with_users({"name": "ops", "sshKeys": ["ssh-ed25519 AAAA"], "passwordHash": HASH}))
    files = render(given)
    enrolments = given.bundle.enrolments
    secrets = {enrolment.secret.reveal(): {f"nodes/{name}/user-data"} for name, enrolment in enrolments.items()}
    secrets[HASH] = {f"coordinator/files/node-{name}/passwords" for name in enrolments}
    secrets[given.bundle.root.key.reveal().splitlines()[1]] = {"secrets/root.key"}
    secrets[given.bundle.keepalived_password.reveal()] = set()
    for secret, places in secrets.items():
        found = {path for path, artefact in files.items() if secret.encode() in artefact.data}
        assert found - {"secrets/enrolments.json"} == places
        assert {files[path].mode for path in found} <= {0o600}
        assert all(files[path].secret for path in found)


def test_nothing_below_pxe_is_secret() -> None:
    public = [artefact for path, artefact in ha().items() if path.startswith("pxe/")]
    assert {(artefact.mode, artefact.secret) for artefact in public} == {(0o644, False)}
    sealed, open_one = user_data(ha(), "w1"), user_data(ha(), "w1", "pxe/seed")
    assert set(landed(sealed)) - set(landed(open_one)) == {"/etc/kubeseed/enrol.curl"}
    assert sealed["users"] == open_one["users"]


def test_a_seed_holds_no_password_hash() -> None:
    """cloud-init hands the `passwd` of a user to useradd, where everybody can read it; stage base sets it instead."""
    given = inputs(with_users({"name": "ops", "sshKeys": ["ssh-ed25519 AAAA"], "passwordHash": HASH}))
    files = render(given)
    assert [user["lock_passwd"] for user in user_data(files, "w1")["users"]] == [True]
    assert HASH.encode() not in files["nodes/w1/user-data"].data
    assert files["coordinator/files/node-w1/passwords"].data == f"ops:{HASH}\n".encode()


def test_the_coordinator_reads_the_inventory_and_finds_every_file() -> None:
    inventory = parse_inventory(ha()["coordinator/inventory.json"].data)
    assert {name: node.roles for name, node in inventory.nodes.items()}["m1"] == ("etcd", "master")
    for name, entries in inventory.filesets.items():
        for entry in entries:
            artefact = ha()[f"coordinator/files/{name}/{entry.path}"]
            assert (entry.sha256, entry.mode) == (sha256(artefact.data).hexdigest(), f"{artefact.mode:04o}")
    listed = {f"coordinator/files/{name}/{entry.path}" for name, all_ in inventory.filesets.items() for entry in all_}
    assert listed == {path for path in ha() if path.startswith("coordinator/files/")}


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert render(inputs(EXAMPLE)) == render(inputs(EXAMPLE))


def test_a_new_worker_leaves_the_other_seeds_alone() -> None:
    before = inputs(EXAMPLE)
    node = {"name": "w3", "roles": ["worker"], "address": "192.168.77.23", "mac": "52:54:00:00:00:23"}
    after = inputs(example(nodes=[*EXAMPLE["nodes"], node]), before.bundle)
    touched = changed(render(before), render(after))
    own = {path for path in touched if path.startswith(("nodes/w3/", "pxe/seed/w3/", "coordinator/files/node-w3/"))}
    assert {Path(path).name for path in touched - own} == {"hosts", "labels", "inventory.json", "enrolments.json"}
    assert len(own) == 11


def test_a_removed_worker_takes_its_files_with_it() -> None:
    before = inputs(EXAMPLE)
    after = inputs(example(nodes=EXAMPLE["nodes"][:-1]), before.bundle)
    gone = render(before).keys() - render(after).keys()
    assert {path.split("/")[-2] for path in gone} == {"w2", "node-w2"}
    assert after.bundle.enrolments["w2"].retired


def test_another_day_changes_nothing() -> None:
    before = inputs(EXAMPLE)
    later = renew_bundle(before.bundle, "ha", list(before.bundle.enrolments), now=NOW + timedelta(days=9), random=bytes)
    assert render(replace(before, bundle=later)) == render(before)


def test_nodes_may_be_called_like_anything() -> None:
    names = ("master", "kubernetes", "release-debian-12", "node-node", "programs")
    nodes = [{**node, "name": name} for node, name in zip(EXAMPLE["nodes"], names, strict=True)]
    inventory = parse_inventory(render(inputs(example(nodes=nodes)))["coordinator/inventory.json"].data)
    assert all(inventory.nodes[name].filesets[-1] == f"node-{name}" for name in names)


def test_a_node_with_settings_of_its_own_gets_its_own_files() -> None:
    nodes = [*EXAMPLE["nodes"][:-1], {**EXAMPLE["nodes"][-1], "ntp": [], "hosts": {"10.0.0.9": ["x"]}}]
    files = render(inputs(example(nodes=nodes)))
    inventory = parse_inventory(files["coordinator/inventory.json"].data)
    filesets = {
        name: [set_ for set_ in node.filesets if set_.startswith("settings-")] for name, node in inventory.nodes.items()
    }
    assert filesets["w1"] == filesets["m1"] != filesets["w2"]
    own = {entry.path for entry in inventory.filesets[filesets["w2"][0]]}
    assert own == {"hosts"}
    assert b"10.0.0.9 x\n" in files[f"coordinator/files/{filesets['w2'][0]}/hosts"].data


# Text that opens lines, quotes, comments, commands, templates and documents elsewhere.
QUOTES = [
    "'",
    '"',
    "\\",
    "'\\''",
    "'; touch /x; '",
    "\\n",
    "$(id)",
    "`id`",
    "${net0/mac}",
    "; reboot",
    "&& x",
    "#",
    "=",
    "%",
]
CONTROL = ["\n", "\r", "\t", "\0", "\x1b[31m", "\u2028", "\x85", "\ufeff", "\ud7ff", "😀"]
YAML = [
    "---",
    "...",
    ": ",
    "- a",
    "!!python/object:os.system",
    "*a",
    "&a",
    "null",
    "yes",
    "0o17",
    "1e3",
    " ",
    "  a",
    "a  ",
]
OTHERS = ["{{ 7*7 }}", "{% raw %}", "]]>", "EOF"]
HOSTILE = st.sampled_from(QUOTES + CONTROL + YAML + OTHERS) | st.text(max_size=20)
TEXT = st.lists(HOSTILE, min_size=1, max_size=4).map("".join)


@settings(max_examples=60)
@given(TEXT)
def test_hostile_text_arrives_as_it_was_or_is_refused(text: str) -> None:
    for place in (_in_a_key, _in_node_conf, _in_hosts):
        try:
            place(text)
        except SpecError as refusal:
            assert refusal.problems  # noqa: PT017 - a refusal is the other good end


def alone(**changes: Any) -> Files:
    """A cluster of one node, which is enough here."""
    return render(inputs(example(nodes=EXAMPLE["nodes"][:1], **changes)))


def _in_a_key(text: str) -> None:
    key = f"ssh-ed25519 AAAA {text}"
    files = alone(defaults={**EXAMPLE["defaults"], "users": [{"name": "ops", "sshKeys": [key]}]})
    for folder in ("nodes", "pxe/seed"):
        assert user_data(files, "m1", folder)["users"][0]["ssh_authorized_keys"] == [key.strip()]


def _in_node_conf(text: str) -> None:
    files = alone(engine={"version": text, "images": f"/{text}"})
    conf = read_node_conf(landed(user_data(files, "m1"))["/etc/kubeseed/node.conf"])
    assert (conf["ENGINE_VERSION"], conf["ENGINE_IMAGES"]) == (text, f"/{text}")


def _in_hosts(text: str) -> None:
    files = alone(defaults={**EXAMPLE["defaults"], "hosts": {"10.0.0.1": [text]}})
    hosts = next(artefact.data.decode() for path, artefact in files.items() if path.endswith("/hosts"))
    assert hosts.splitlines()[-1] == f"10.0.0.1 {text}"
    assert len(hosts.splitlines()) == 2


def test_a_manifest_of_enrolments_names_generations() -> None:
    tree = json.loads(ha()["secrets/enrolments.json"].data)
    assert {entry["generation"] for entry in tree["nodes"].values()} == {1}


@pytest.mark.parametrize("node", ["m1", "w1"])
def test_the_seed_names_its_instance_by_generation(node: str) -> None:
    assert yaml.safe_load(ha()[f"nodes/{node}/meta-data"].data) == {
        "instance-id": f"ha-{node}-1",
        "local-hostname": node,
    }
