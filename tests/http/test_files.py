"""Files, backends, seeds and reports."""

import pytest

from tests.http.outfolder import sha256
from tests.http.process import Coordinator, Machine, unpack


def test_a_node_gets_its_own_files_and_304_when_it_has_them(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    answer = worker.get("/v1/files")
    assert set(unpack(answer.content)) == {
        "sysctl.conf",
        "containerd/certs.d/docker.io/hosts.toml",
        "kubeadm-join.yaml",
    }
    assert unpack(answer.content)["kubeadm-join.yaml"] == b"name: w1\n"
    assert worker.get("/v1/files").headers["etag"] == answer.headers["etag"]
    again = worker.get("/v1/files", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_later_fileset_wins(coordinator: Coordinator) -> None:
    own = coordinator.out.root / "coordinator" / "files" / "w1" / "sysctl.conf"
    own.write_bytes(b"net.ipv4.ip_forward=0\n")
    entry = {"path": "sysctl.conf", "mode": "0600", "sha256": sha256(own.read_bytes())}
    coordinator.out.inventory["filesets"]["w1"].append(entry)
    coordinator.kill()
    coordinator.out.write_inventory()
    coordinator.start()
    assert unpack(coordinator.machine("w1").enrolled().get("/v1/files").content)["sysctl.conf"] == own.read_bytes()
    assert unpack(coordinator.machine("w2").enrolled().get("/v1/files").content)["sysctl.conf"] != own.read_bytes()


def test_bytes_that_are_not_the_inventorys_are_not_served(coordinator: Coordinator) -> None:
    path = coordinator.out.root / "coordinator" / "files" / "cluster" / "sysctl.conf"
    path.write_bytes(b"evil\n")
    worker = coordinator.machine("w1").enrolled()
    assert worker.get("/v1/files").json()["error"] == "files-incomplete"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert worker.get("/v1/files").status_code == 503


def test_backends_have_an_entity_tag(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    answer = worker.get("/v1/backends")
    assert answer.text == "192.168.77.11:6443\n"
    assert worker.get("/v1/backends", **{"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.fixture(scope="module")
def worker(shared: Coordinator) -> Machine:
    return shared.machine("w1").enrolled()


@pytest.mark.parametrize("file", ["user-data", "meta-data", "network-config", "vendor-data"])
def test_public_seeds_are_served_over_plain_http(shared: Coordinator, file: str) -> None:
    with shared.boot() as client:
        assert client.get(f"/seed/w1/{file}").text == f"#cloud-config\n# {file} of w1\n"


@pytest.mark.parametrize(
    "path",
    [
        "/seed/nobody/user-data", "/seed/w1/passwd", "/seed/../secrets/root.key", "/secrets/root.key",
        "/seed/w1/..%2f..%2f..%2fsecrets%2froot.key", "/seed/..%2f..%2fsecrets/root.key", "/seed/w1/user-data.gz",
        "/v1/files", "/v1/enrol", "/status",
    ],
)  # fmt: skip
def test_nothing_else_is(shared: Coordinator, path: str) -> None:
    with shared.boot() as client:
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not-found")


def test_the_root_certificate_is_public(shared: Coordinator) -> None:
    with shared.boot() as client:
        assert client.get("/ca.crt").content == (shared.out.root / "secrets" / "root.crt").read_bytes()


def test_a_seed_that_is_a_link_is_not_followed(coordinator: Coordinator) -> None:
    path = coordinator.out.root / "pxe" / "seed" / "w1" / "user-data"
    path.unlink()
    path.symlink_to(coordinator.out.root / "secrets" / "root.key")
    with coordinator.boot() as client:
        assert client.get("/seed/w1/user-data").status_code == 404


def test_reports_are_shown(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    worker.report("base", "started", log="")
    worker.report("base", "failed", log="apt: no network\n\x1b[31mred", attempt="3")
    stage = coordinator.status()["nodes"]["w1"]["stages"]["base"]
    assert (stage["state"], stage["attempts"], stage["seconds"]) == ("failed", 3, 1.5)
    assert stage["log"] == "apt: no network\n[31mred"


@pytest.mark.parametrize(
    ("field", "value"),
    [("stage", "no-such"), ("state", "great"), ("seconds", "-1"), ("attempt", "many"), ("stage", "../x")],
)
def test_reports_have_a_grammar(worker: Machine, field: str, value: str) -> None:
    form = {"stage": "base", "state": "done", "seconds": "1", "attempt": "1", field: value}
    assert worker.post("/v1/reports", form).status_code == 422


def test_a_long_log_is_cut_and_a_larger_one_refused(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    assert worker.report("base", "failed", log="x" * 10000 + "END").status_code == 200
    log = coordinator.status()["nodes"]["w1"]["stages"]["base"]["log"]
    assert (len(log), log[-4:]) == (8192, "xEND")
    assert worker.report("base", "failed", log="x" * 40000).status_code == 413
