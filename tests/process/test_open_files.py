"""The limit of open files bounds how many runs are locked at once."""

import resource

import pytest

from gaplab.process.open_files import MOST, RESERVED, most_locks


@pytest.mark.parametrize(
    ("limits", "room", "raised"),
    [
        ((256, 1_024), 1_024 - RESERVED, (1_024, 1_024)),
        ((1_024, resource.RLIM_INFINITY), MOST - RESERVED, (MOST, resource.RLIM_INFINITY)),
        ((1_024, 1_024), 1_024 - RESERVED, None),
        ((100, 100), 1, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), MOST - RESERVED, None),
    ],
)
def test_the_soft_limit_is_raised_to_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], room: int, raised: tuple[int, int] | None
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: given.append(new))
    assert most_locks() == room
    assert given == ([] if raised is None else [raised])
