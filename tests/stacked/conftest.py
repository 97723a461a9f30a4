"""Compiling without the wait."""

from collections.abc import Callable
from typing import Any

import pytest
import torch._inductor


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the graph that the compiler would be given, as it is: code for it takes seconds more."""

    def as_it_is(graph: Callable[..., Any], inputs: Any, **options: Any) -> Callable[..., Any]:
        return graph

    monkeypatch.setattr(torch._inductor, "standalone_compile", as_it_is)
