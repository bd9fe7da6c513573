"""Settings of all tests: Hypothesis repeats its examples and never fails because the machine is busy."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.cluster.checks")

settings.register_profile("kubeseed", deadline=None, derandomize=True)
settings.load_profile("kubeseed")

pytest_plugins = ["tests.lab.plugin", "tests.proving"]
