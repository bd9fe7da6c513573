"""Every parser of untrusted bytes, fed with noise and with good input that was bent: no crash, no 5xx, no bypass.

CSRs are in test_limits.py, whole routes in test_openapi.py.
"""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from http_server.app import LOCAL
from http_server.authenticate import authenticate
from http_server.coordinator import Coordinator as Assembled
from http_server.coordinator import assemble
from http_server.errors import ApiError
from http_server.form import (
    decode_body,
    parse_digest,
    parse_fingerprint,
    parse_form,
    parse_log,
    parse_mac,
    parse_node,
    parse_seconds,
    parse_text,
    whole_number,
)
from http_server.manifest import ManifestError, parse_manifest
from http_server.model import Auth
from http_server.service import boot
from http_server.settings import Limits, Out, Settings
from http_server.wire import Call
from tests.http.process import Coordinator, fresh_out, running

MANY = settings(max_examples=200, deadline=None)
SLOWER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Text that parsers meet in attacks: control characters, other scripts' digits, escapes, long runs.
ODD = st.text(
    st.sampled_from("\0\r\n\t %&=;+:/\\\"'\u0663\u200b\u202e\ud7ff\U0001f600aA0-.,") | st.characters(codec="utf-8")
)
REFUSALS = {400, 401, 403, 404, 405, 409, 413, 415, 421, 422}
WIDE = Limits(peer_rate=(1e6, 1e6), all_rate=(1e6, 1e6))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assembled]:
    with assemble(Settings(Out(fresh_out(tmp_path_factory.mktemp("fuzz"), 8443).root))) as assembled:
        yield assembled


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    with running(tmp_path_factory.mktemp("raw"), limits=WIDE) as coordinator:
        yield coordinator
        assert " failed [" not in coordinator.log


@MANY
@given(st.binary(max_size=400) | ODD.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_forms(body: bytes) -> None:
    try:
        form = parse_form(decode_body(body), frozenset({"stage", "log"}), frozenset({"mac"}))
    except ApiError as refused:
        assert refused.status == 400  # noqa: PT017 - refusing is one of two good outcomes
        return
    assert set(form.fields) <= {"stage", "log", "mac"}
    assert all(len(values) == 1 for name, values in form.fields.items() if name != "mac")


GRAMMARS: dict[str, tuple[Callable[[str], object], str]] = {
    "digest": (parse_digest, r"[0-9a-f]{64}"),
    "node": (parse_node, r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"),
    "fingerprint": (parse_fingerprint, r"[0-9a-f]{4}(-[0-9a-f]{4}){4}"),
    "mac": (parse_mac, r"[0-9a-f]{2}(:[0-9a-f]{2}){5,19}"),
    "seconds": (parse_seconds, r"[0-9.]+"),
    "number": (whole_number(0, 10**9), r"[0-9]+"),
}


@pytest.mark.parametrize("name", GRAMMARS)
@MANY
@given(st.data())
def test_fields_take_their_grammar_and_nothing_else(name: str, data: st.DataObject) -> None:
    parse, grammar = GRAMMARS[name]
    text = data.draw(ODD | st.from_regex(grammar) | st.from_regex(grammar, fullmatch=True))
    with contextlib.suppress(ValueError):
        found = parse(text)
        assert re.fullmatch(grammar, str(found) if isinstance(found, str) else text, re.ASCII)


@MANY
@given(ODD)
def test_machines_words_cannot_steer_a_terminal(text: str) -> None:
    assert parse_text(text).isprintable()
    assert all(character in "\n\t" or character.isprintable() for character in parse_log(text))


@SLOWER
@given(header=ODD | st.from_regex(r"(Node|Enrolment|Pending) [ -~]{0,200}", fullmatch=True))
@pytest.mark.parametrize("auth", [Auth.NODE, Auth.ENROLMENT])
def test_no_header_that_nobody_was_given_is_a_proof(made: Assembled, auth: Auth, header: str) -> None:
    """No node has enrolled here; a pending seed proves nothing and may only wait."""
    try:
        caller = authenticate(auth, header, made.context.inventory, made.context.store)
    except ApiError as refused:
        assert refused.status == 401  # noqa: PT017 - as above
        return
    assert (auth, caller.scheme) == (Auth.ENROLMENT, "pending")
    assert caller.node in made.context.inventory.nodes


@MANY
@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4), max_leaves=12,
).map(lambda value: repr(value).encode()))  # fmt: skip
def test_manifests(data: bytes) -> None:
    with contextlib.suppress(ManifestError):
        parse_manifest(data)


@SLOWER
@given(query=ODD | st.from_regex(r"mac=[0-9a-fA-F:%-]{0,40}&uuid=.{0,40}&serial=.{0,40}&arch=\w{0,9}&platform=\w{0,9}"))
def test_a_boot_script_is_a_script_whatever_the_machine_says(made: Assembled, query: str) -> None:
    try:
        answer = boot.script(made.context, Call(query=query, peer="192.0.2.1"))
    except ApiError as refused:
        assert refused.status in REFUSALS  # noqa: PT017 - as above
        return
    assert answer.status == 200
    assert answer.body.startswith(b"#!ipxe\n")


@MANY
@given(ODD)
def test_no_other_host_passes_for_this_machine(text: str) -> None:
    if LOCAL.fullmatch(text):
        assert text.split(":")[0].strip("[") in {"127.0.0.1", "localhost", ""}


HEADS = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /assets/" + b"0" * 64 + b" HTTP/1.1\r\nHost: x\r\nRange: bytes=0-99,200-\r\nIf-Range: \"x\"\r\n\r\n",
    b"POST /boot/report HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b",
    b"POST /boot/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnode=\r\n0\r\nX: y\r\n\r\n",
)  # fmt: skip


@SLOWER
@given(head=st.sampled_from(HEADS), patches=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), max_size=6))
def test_bent_requests_get_an_answer_or_an_end(
    open_door: Coordinator, head: bytes, patches: list[tuple[int, bytes]]
) -> None:
    data = bytearray(head)
    for at, patch in patches:
        data[at % len(data) : at % len(data) + len(patch)] = patch
    with socket.create_connection(("127.0.0.1", open_door.boot_port), 20) as sock:
        sock.sendall(bytes(data))
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := sock.recv(65536):
                answer += piece
    for status in re.findall(rb"^HTTP/1\.1 (\d{3})", answer, re.MULTILINE):
        assert int(status) < 500


RANGES = st.from_regex(r"bytes=[0-9, -]{0,60}", fullmatch=True) | ODD


@SLOWER
@given(wanted=RANGES)
def test_ranges(open_door: Coordinator, wanted: str) -> None:
    folder: Path = open_door.out.root / "pxe"
    (folder / "boot.ipxe").write_text("#!ipxe\n" + "x" * 500)
    value = wanted.encode("utf-8", "replace").replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")
    message = b"GET /boot.ipxe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: " + value + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", open_door.boot_port), 20) as sock:
        sock.sendall(message)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := sock.recv(65536):
                answer += piece
    assert answer[9:12] in {b"200", b"206", b"400", b"416"}
