"""Schemathesis asks what the OpenAPI document allows, and what it does not: no 5xx, no odd error, no bypass."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.case import Case

from http_server.openapi import document
from http_server.routes import ROUTES, Listener
from http_server.settings import Limits
from tests.http.process import Coordinator, run_command, running

load_all_checks()
WIDE = Limits(peer_rate=(1e6, 1e6), node_rate=(1e6, 1e6), all_rate=(1e6, 1e6), enrol_rate=(1e6, 1e6))
CHECKED: Any = CHECKS.get_by_names(
    ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
)
BYPASS: Any = CHECKS.get_by_names(["ignored_auth"])
EXAMPLES = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
TLS, PLAIN, UI = (
    schemathesis.openapi.from_dict(dict(document(listener))) for listener in (Listener.TLS, Listener.PLAIN, Listener.UI)
)
CALLERS = ("worker", "first master", "sealed seed", "nobody")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    with running(tmp_path_factory.mktemp("openapi"), limits=WIDE) as coordinator:
        yield coordinator
        assert " failed [" not in coordinator.log


@pytest.fixture(scope="module")
def headers(asked: Coordinator) -> dict[str, str]:
    worker, first = (asked.machine(name).enrolled() for name in ("w1", "m1"))
    return {"worker": worker.header, "first master": first.header, "sealed seed": asked.out.seal("w2"), "nobody": ""}


@schemathesis.serializer("application/pkcs10")
def as_text(context: object, value: object) -> bytes:
    """Noise instead of a certificate request; test_limits.py bends good ones."""
    del context
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def ask(case: Case[Any], base: str, header: str, trust: str | None = None) -> None:
    answer = case.call(base_url=base, headers={"Authorization": header} if header else {}, verify=trust, timeout=40)
    case.validate_response(answer, checks=CHECKED)


@pytest.mark.parametrize("caller", CALLERS)
@TLS.parametrize()
@EXAMPLES
def test_tls(case: Case[Any], asked: Coordinator, headers: dict[str, str], caller: str) -> None:
    trust = str(asked.out.root / "secrets" / "root.crt")
    ask(case, f"https://127.0.0.1:{asked.port}", headers[caller], trust)


@pytest.fixture(scope="module")
def trusted(asked: Coordinator) -> Iterator[None]:
    """For the requests that a check makes by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(asked.out.root / "secrets" / "root.crt"))
        yield


@pytest.mark.usefixtures("trusted")
@TLS.parametrize()
@settings(EXAMPLES, max_examples=3)
def test_no_route_forgets_its_authentication(case: Case[Any], asked: Coordinator, headers: dict[str, str]) -> None:
    """Schemathesis leaves the credential out, and gives a wrong one, wherever the document demands one."""
    trust, header = str(asked.out.root / "secrets" / "root.crt"), {"Authorization": headers["first master"]}
    answer = case.call(base_url=f"https://127.0.0.1:{asked.port}", headers=header, verify=trust, timeout=40)
    case.validate_response(answer, checks=BYPASS)


@PLAIN.parametrize()
@EXAMPLES
def test_plain(case: Case[Any], asked: Coordinator) -> None:
    ask(case, f"http://127.0.0.1:{asked.boot_port}", "")


@UI.exclude(path="/stream").parametrize()
@EXAMPLES
def test_ui(case: Case[Any], asked: Coordinator) -> None:
    ask(case, f"http://127.0.0.1:{asked.ui_port}", "")


@pytest.mark.parametrize("listener", Listener)
def test_the_document_has_every_route_and_its_demands(listener: Listener) -> None:
    printed = json.loads(run_command("openapi", "--listener", listener).stdout)
    found = {
        (method.upper(), path): operation
        for path, methods in printed["paths"].items()
        for method, operation in methods.items()
    }
    assert set(found) == {(route.method, route.path) for route in ROUTES if route.listener is listener}
    for route in ROUTES:
        if route.listener is listener:
            operation = found[route.method, route.path]
            assert ("security" in operation) == (route.auth in {"node", "enrolment"})
            assert ("requestBody" in operation) == bool(route.body)
            assert operation["description"]


def test_the_checks_can_fail(asked: Coordinator) -> None:
    """The same check against a document that promises what the coordinator does not keep."""
    wrong = json.loads(json.dumps(document(Listener.PLAIN)))
    wrong["paths"] = {"/no-such": wrong["paths"]["/healthz"]}
    del wrong["paths"]["/no-such"]["get"]["responses"]["default"]
    case = schemathesis.openapi.from_dict(wrong)["/no-such"]["GET"].Case()
    with pytest.raises(FailureGroup):
        ask(case, f"http://127.0.0.1:{asked.boot_port}", "")
