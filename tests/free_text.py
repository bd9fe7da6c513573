"""Puts a text into a field of the spec, whichever it is, and reads back what every artefact then says."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from copy import deepcopy
from typing import Any, get_args, get_origin

import yaml

from generator.bundle import renew_bundle
from generator.files import Inputs, render_files
from generator.parse import parse_cluster
from generator.render.artefact import Artefact
from generator.render.landing import CONF
from generator.spec.field import Section
from generator.spec.shape import Shape, at, bare, walk
from generator.verify import late_script, read_landed, read_node_conf
from tests.fixed import NOW, fixed_random
from tests.installing import MIRRORS, PROFILES, SCRIPTS

Keys = tuple[str, ...]
Tree = dict[str, Any]
KEY = "*"  # as the last step of a path: the text is a key of the map

_CARD = {
    "mac": "52:54:00:00:00:99",
    "addresses": ["10.20.0.11/24"],
    "routes": [{"to": "10.0.0.0/8", "via": "10.20.0.1"}],
}
_NODE: Tree = {
    "name": "m1", "roles": ["master", "worker", "etcd"], "address": "192.168.77.11", "mac": "52:54:00:00:00:11",
    "network": {"gateway": "192.168.77.1", "cards": [_CARD]}, "users": [{"name": "ops"}],
}  # fmt: skip
_VOLUME = {"name": "v", "hostPath": "/v", "mountPath": "/v"}
# One for each installer, package manager, engine and way to the API servers, so that every field has a use somewhere.
BASES: Mapping[str, Tree] = {
    "debian": {
        "nodes": [{**_NODE, "os": "debian-12", "disk": {"device": "/dev/sda", "etcd": "/dev/sdb"}}],
        "engine": {"registries": {"docker.io": ["https://registry-1.docker.io"]}},
        "kubernetes": {
            "audit": {"enabled": True}, "version": "1.30.5",
            **{name: {"extraVolumes": [_VOLUME]} for name in ("apiServer", "controllerManager", "scheduler")},
        },
        "packages": {"base": {"apt": "http://deb.example.org/debian"}, "engine": {"apt": "https://deb.example.org/e"}},
    },
    "rocky": {
        "nodes": [
            {**_NODE, "os": "rocky-9", "roles": ["master", "worker", "etcd", "lb"]},
            {"name": "lb2", "os": "rocky-9", "roles": ["lb"], "address": "192.168.77.12"},
        ],
        "engine": {"name": "docker"},
        "loadBalancer": {"mode": "vip", "vip": "192.168.77.10", "engine": "haproxy"},
        "kubernetes": {"version": "1.33.1"},
        "packages": {"base": {"yum": "http://yum.example.org/9"}, "epel": {"yum": "http://epel.example.org/9"}},
    },
    "ubuntu": {
        "nodes": [{**_NODE, "os": "ubuntu-24.04", "pxe": {"deploy": "installer"}}],
        "etcd": {"topology": "stacked"},
        "loadBalancer": {"mode": "external", "address": "api.example.org"},
        "pxe": {"interface": "eno1", "mode": "dhcp"},
        "kubernetes": {"version": "1.31.1"},
    },
}  # fmt: skip
# A key, and a value, that maps of the spec take.
_MAP_KEYS = {"hosts": "10.0.0.99", "registries": "docker.io", "evictionHard": "imagefs.available"}
_MAP_VALUES: Mapping[str, Any] = {"hosts": ["h"], "registries": ["http://r.example"], "evictionHard": "10%"}


def base(name: str) -> Tree:
    tree = deepcopy(dict(BASES[name]))
    tree["metadata"] = {"name": "prod"}
    tree["coordinator"] = {"url": "https://192.168.77.2:8443", "bootUrl": "http://192.168.77.2:8080"}
    return tree


def text_fields() -> Iterator[Keys]:
    """Every place of the spec where a text could stand, as far as the models' types tell."""
    for path, shape in walk():
        if isinstance(_leaf(shape.kind), type) and issubclass(_leaf(shape.kind), Section | int):
            continue
        yield path
        if get_origin(shape.kind) is Mapping:
            yield (*path, KEY)


def _leaf(kind: Any) -> Any:
    while get_origin(kind) in (tuple, Mapping):
        kind = bare(get_args(kind)[-1 if get_origin(kind) is Mapping else 0])
    return kind


def with_text(name: str, path: Keys, text: str) -> Tree:
    """The base with `text` at `path`: alone, in a list, as a value or, with KEY, as a key of a map."""
    steps, as_key = (path[:-1], True) if path[-1] == KEY else (path, False)
    tree = place = base(name)
    walked: tuple[str | int, ...] = ()
    for step in steps[:-1]:
        walked = (*walked, step)
        shape = at(walked)
        assert shape
        place = place.setdefault(step, [{}] if shape.is_list else {})
        if shape.is_list:
            walked, place = (*walked, 0), place[0]
    last = steps[-1]
    shape = at((*walked, last))
    assert shape
    place[last] = {text: _MAP_VALUES.get(last, "v")} if as_key else _wrapped(last, shape, text)
    return tree


def _wrapped(name: str, shape: Shape, text: str) -> Any:
    if get_origin(shape.kind) is Mapping:
        value = bare(get_args(shape.kind)[1])
        return {_MAP_KEYS.get(name, "k"): [text] if get_origin(value) is tuple else text}
    return [text] if get_origin(shape.kind) is tuple else text


def render(tree: Tree) -> dict[str, Artefact]:
    """Every artefact of the spec by its path; SpecError when it is none."""
    cluster, _ = parse_cluster(json.dumps(tree), PROFILES)
    names = [node.name for node in cluster.nodes]
    bundle = renew_bundle(None, cluster.metadata.name, names, now=NOW, random=fixed_random())
    inputs = Inputs(cluster, "0" * 64, PROFILES, MIRRORS, bundle, SCRIPTS)
    return {artefact.path: artefact for artefact in render_files(inputs)}


def said(artefact: Artefact) -> Any:
    """What the reader of this format takes from the artefact: structure, and texts without any quoting."""
    name = artefact.path.rpartition("/")[2]
    if name.endswith((".gz", ".tar", ".crt", ".key", ".asc")):
        return artefact.data
    text = artefact.data.decode()
    for pattern, read in _READERS:
        if re.fullmatch(pattern, name):
            return read(text)
    return _words(text)


def _words(text: str) -> list[list[str]]:
    """Lines of words, as dnsmasq, iPXE, hosts(5), sources.list(5) and the load balancers part them."""
    return [line.split() for line in text.splitlines()]


def _yaml(text: str) -> Any:
    return [_inside(tree) for tree in yaml.load_all(text, yaml.CSafeLoader)]


def _json(text: str) -> Any:
    """Without digests of files, which change with every text."""
    return json.loads(re.sub(r'"[0-9a-f]{64}"', '""', text))


def _inside(tree: Any) -> Any:
    """The tree with node.conf as a shell reads it."""
    if isinstance(tree, dict):
        conf = tree.get("path") == CONF
        return {
            key: read_node_conf(value) if conf and key == "content" else _inside(value) for key, value in tree.items()
        }
    return [_inside(item) for item in tree] if isinstance(tree, list) else tree


def _kickstart(text: str) -> Any:
    head, _, post = text.partition("\n%post ")
    return _shell_lines(head.splitlines()), _script(post)


def _shell_lines(lines: Iterable[str]) -> list[list[str]]:
    """A command and its arguments on each line; a title may hold an apostrophe."""
    return [[line] if line.startswith("#") else shlex.split(line) for line in lines]


def _preseed(text: str) -> Any:
    head, _, _ = text.partition("d-i preseed/late_command")
    return [line.split(" ", 3) for line in head.splitlines()], _script(late_script(text))


def _script(script: str) -> Any:
    """What is landed, which keys log in as whom, and every other line."""
    files: dict[str, Any] = {**read_landed(script)}
    files[CONF] = read_node_conf(files[CONF][1])
    keys = re.findall(r"^keys (\S+) <<'KUBESEED'\n((?:\|.*\n)*)KUBESEED$", script, re.MULTILINE)
    return files, keys, [line for line in script.splitlines() if not line.startswith("|")]


def _ini(text: str) -> Any:
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


_READERS = (
    (r"user-data|meta-data|network-config|.*\.yaml", _yaml),
    (r".*\.json", _json),
    (r".*\.toml", tomllib.loads),
    (r"kickstart\.cfg", _kickstart),
    (r"preseed\.cfg", _preseed),
    (r"packages\.rpm", _ini),
)


def replaced(tree: Any, text: str, by: str) -> Any:
    """The tree with `by` in place of `text` in every string of it."""
    if isinstance(tree, str):
        return tree.replace(text, by) if text else tree
    if isinstance(tree, Mapping):
        return {replaced(key, text, by): replaced(value, text, by) for key, value in tree.items()}
    return [replaced(item, text, by) for item in tree] if isinstance(tree, list | tuple) else tree
