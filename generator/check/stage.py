"""Knows which stages of the first boot may be skipped (docs/decisions/0002)."""

from collections.abc import Iterator

from generator.check.finding import Finding
from generator.nearest import choice_hint
from generator.spec.bootstrap import UNSKIPPABLE, Stage
from generator.spec.cluster import Cluster
from generator.value import quoted


def check_skipped_stages(cluster: Cluster) -> Iterator[Finding]:
    """Only stages that exist, and without which a node can still be enrolled and cleaned up."""
    skippable = [stage for stage in Stage if stage not in UNSKIPPABLE]
    for number, name in enumerate(cluster.bootstrap.skip_stages):
        path = ("bootstrap", "skipStages", number)
        if name in UNSKIPPABLE:
            yield Finding(path, f"the stage {name} cannot be skipped", f"allowed: {', '.join(skippable)}")
        elif name not in set(Stage):
            yield Finding(path, f"there is no stage {quoted(name)}", choice_hint(name, skippable))
