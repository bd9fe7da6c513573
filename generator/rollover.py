"""Knows how a cluster gets a new root while its nodes run: trusted beside the old one first, then used, then alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from generator.bundle import CERTIFICATE, Bundle, Random
from generator.errors import Problem, Severity, UsageError
from generator.root import begin_of, end_of, make_root
from generator.root_step import RootStep

# Nodes ask four times a day which roots there are (docs/coordinator.md).
SPREAD = timedelta(days=1)
REMINDER = timedelta(days=730)


def take_step(bundle: Bundle, step: RootStep, *, now: datetime, random: Random) -> Bundle:
    """The bundle after the step; UsageError when it is not the turn of this one."""
    return _STEPS[step](bundle, now, random)


def ageing(bundle: Bundle, now: datetime) -> tuple[Problem, ...]:
    """A warning in the last years of the root that signs."""
    end = end_of(bundle.root)
    if end - now > REMINDER:
        return ()
    message = f"nodes believe the coordinator until {end:%F}: its root ends then"
    return (Problem(Severity.WARNING, message, file=CERTIFICATE, hint="renew it: docs/coordinator.md, A new root"),)


def _next(bundle: Bundle, now: datetime, random: Random) -> Bundle:
    if bundle.other:
        raise UsageError.because("nodes trust two roots already", hint="first --root switch, or --root retire")
    return replace(bundle, other=make_root(bundle.cluster, now, random))


def _switch(bundle: Bundle, now: datetime, random: Random) -> Bundle:
    del random
    if not bundle.other:
        raise UsageError.because("there is no next root", hint="make it first: --root next")
    ready = begin_of(bundle.other) + SPREAD
    if now < min(ready, end_of(bundle.root)):
        raise UsageError.because(
            "the next root is younger than a day",
            hint=f"nodes need time to fetch it; switch after {ready:%F %H:%M} UTC",
        )
    return replace(bundle, root=bundle.other, other=bundle.root)


def _retire(bundle: Bundle, now: datetime, random: Random) -> Bundle:
    del now, random
    if not bundle.other:
        raise UsageError.because("nodes trust one root only", hint="there is none to retire")
    return replace(bundle, other=None)


_STEPS: dict[RootStep, Callable[[Bundle, datetime, Random], Bundle]] = {
    RootStep.NEXT: _next,
    RootStep.SWITCH: _switch,
    RootStep.RETIRE: _retire,
}
