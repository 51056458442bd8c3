"""The client's table of problems is the gateway's."""

import client.gateway.errors as errors
from client import KINDS
from server import problems


def test_the_tables_are_one() -> None:
    ours = {name: status for name, (status, _) in KINDS.items()}
    assert ours == {kind.name: kind.status for kind in problems.KINDS}


def test_each_kind_has_an_error_of_its_own() -> None:
    classes = [error for _, error in KINDS.values()]
    assert len(set(classes)) == len(classes)


def test_what_may_pass_is_a_busy_error() -> None:
    for kind in problems.KINDS:
        if kind.retryable:
            assert issubclass(KINDS[kind.name][1], errors.BusyError | errors.RequestError), kind


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if ("Error" in line and "─" in line) or line.startswith("ClientError "):
            name = line.lstrip(" │├└─").split()[0]
            drawn.append((line.index(name) // 4, name))
    for place, (depth, name) in enumerate(drawn[1:], 1):
        parent = next(other for level, other in reversed(drawn[:place]) if level == depth - 1)
        assert getattr(errors, name).__bases__[0].__name__ == parent, name
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {name for _, name in drawn} == public
