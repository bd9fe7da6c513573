"""The node image, and a scenario's cluster for each module of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.place import Cluster, cluster
from tests.cluster.spec import Shape
from tests.lab.kubernetes.compile import is_cached
from tests.lab.kubernetes.image import kubernetes_image
from tests.lab.run import Run


@pytest.fixture(scope="session")
def node_image(lab: Run, request: pytest.FixtureRequest) -> Path:
    """The image of a Kubernetes node. Only `make test-cluster` builds Kubernetes; `make test` takes what is cached."""
    assert lab
    if not is_cached() and not request.config.getoption("--build-kubernetes"):
        pytest.skip("Kubernetes is not in the cache: make test-cluster builds it of Debian's source, about 15 minutes")
    return kubernetes_image()


@pytest.fixture(scope="module")
def made(lab: Run, kubeseed: Path, node_image: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster of the module's SHAPE; nothing is powered on yet."""
    shape = request.module.SHAPE
    assert isinstance(shape, Shape)
    with cluster(lab, kubeseed, node_image, shape) as place:
        yield place
