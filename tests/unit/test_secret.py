"""A secret shows stars however it is turned into text."""

import json
import pickle
from dataclasses import dataclass

import pytest

from generator.secret import Secret

PLANTED = "hunter2-planted"


@dataclass
class Holder:
    secret: Secret[str]


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(PLANTED)),
        repr(Secret(PLANTED)),
        f"{Secret(PLANTED)}",
        f"{Secret(PLANTED):>40}",
        f"{Secret(PLANTED)!r}",
        "%s %r" % (Secret(PLANTED), Secret(PLANTED)),  # noqa: UP031 - this way too
        repr([Secret(PLANTED)]),
        repr(Holder(Secret(PLANTED))),
    ],
)
def test_it_is_never_shown(shown: str) -> None:
    assert PLANTED not in shown
    assert "***" in shown


def test_it_is_opened_by_name_only() -> None:
    assert Secret(PLANTED).reveal() == PLANTED


def test_it_cannot_slip_into_json() -> None:
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(PLANTED)})


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


def test_it_survives_a_copy() -> None:
    assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")  # noqa: S301 - our own bytes
