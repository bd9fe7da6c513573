"""Knows NoCloud's meta-data: a new instance-id makes cloud-init run anew, so it carries the generation."""

from generator.plan.seed import Seed
from generator.render.dump import dump_yaml


def render_meta_data(seed: Seed) -> bytes:
    """`instance-id` and `local-hostname`."""
    return dump_yaml({"instance-id": seed.instance_id, "local-hostname": seed.hostname}).encode()
