"""Settings of all tests: Hypothesis repeats its examples and never fails because the machine is busy."""

from hypothesis import settings

settings.register_profile("kubeseed", deadline=None, derandomize=True)
settings.load_profile("kubeseed")

pytest_plugins = ["tests.lab.plugin"]
