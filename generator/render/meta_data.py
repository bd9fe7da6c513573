"""Knows NoCloud's meta-data: a new instance-id makes cloud-init run anew, so it carries the generation."""

from functools import lru_cache

from generator.render.dump import dump_yaml


@lru_cache(maxsize=2)  # the sealed and the public seed have the same
def render_meta_data(instance_id: str, hostname: str) -> bytes:
    """`instance-id` and `local-hostname`."""
    return dump_yaml({"instance-id": instance_id, "local-hostname": hostname}).encode()
