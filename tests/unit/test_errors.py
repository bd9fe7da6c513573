"""How a problem reads, and what ends a command."""

import pytest

from generator.errors import ExitCode, KubeseedError, LocalError, Problem, Severity, SpecError, UsageError


def test_a_problem_reads_as_compilers_write_it() -> None:
    problem = Problem(
        Severity.ERROR,
        "'xx' is not a MAC address",
        "nodes[3].mac",
        "spec.yaml",
        12,
        7,
        "write six bytes",
        ("    12 | x",),
    )
    assert str(problem).splitlines() == [
        "spec.yaml:12:7: error: nodes[3].mac: 'xx' is not a MAC address",
        "    12 | x",
        "hint: write six bytes",
    ]


def test_what_is_not_known_is_not_shown() -> None:
    assert str(Problem(Severity.WARNING, "odd")) == "warning: odd"
    assert str(Problem(Severity.WARNING, "odd", file="spec.yaml")) == "spec.yaml: warning: odd"


def test_no_name_can_drive_a_terminal() -> None:
    problem = Problem(Severity.ERROR, "k\x1b[31m", 'labels["\u202e"]', "x\x9b31m\udcff\n.yaml", hint="a\rb")
    told = r"""x\x9b31m\udcff\n.yaml: error: labels["\u202e"]: k\x1b[31m"""
    assert str(problem).splitlines() == [told, r"hint: a\rb"]


def test_an_error_carries_all_problems() -> None:
    error = SpecError(Problem(Severity.ERROR, text) for text in ("one", "two"))
    assert [problem.message for problem in error.problems] == ["one", "two"]
    assert str(error) == "error: one\nerror: two"


@pytest.mark.parametrize(
    ("kind", "code"), [(SpecError, ExitCode.SPEC), (UsageError, ExitCode.USAGE), (LocalError, ExitCode.ENVIRONMENT)]
)
def test_each_kind_has_its_exit_status(kind: type[KubeseedError], code: ExitCode) -> None:
    error = kind.because("no", file="f", hint="do this")
    assert isinstance(error, kind)
    assert error.exit_code is code
    assert str(error) == "f: error: no\nhint: do this"


def test_the_exit_statuses_are_stable() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3]
