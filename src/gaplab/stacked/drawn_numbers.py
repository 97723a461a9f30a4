"""Random numbers that a loss draws from its generator, drawn beforehand: a mapped function cannot draw them itself."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from gaplab.stacked.update_rules import Params


class Call(NamedTuple):
    """A function of torch that draws, such as ``torch.randn``, with all arguments but the generator."""

    function: Callable[..., Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Drawing(TorchFunctionMode):
    """Sees what is drawn from a generator while this context is entered; everything else is as it was."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("generator") is not self.generator:
            return func(*args, **kwargs)
        del kwargs["generator"]
        return self.draw(Call(func, args, kwargs))

    @abstractmethod
    def draw(self, call: Call) -> Tensor:
        """Return what is drawn."""


class DrawingRecorded(_Drawing):
    """Keeps in ``calls`` what is drawn.

    Raises:
        ValueError: If a draw looks at a tensor, whose values nobody knows beforehand.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__(generator)
        self.calls: list[Call] = []

    def draw(self, call: Call) -> Tensor:
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves((call.args, call.kwargs))):
            raise ValueError(
                f"losses draws by {call.function.__name__} from tensors; torch.rand and torch.randn need none"
            )
        self.calls.append(call)
        return call.function(*call.args, generator=self.generator, **call.kwargs)


class DrawingReplaced(_Drawing):
    """Hands out numbers that were drawn beforehand in place of those that a generator would give.

    Args:
        generator: Whose draws are replaced.
        calls: The draws that are expected, in order.
        drawn: Their results, as ``draw_all`` names them.

    Raises:
        ValueError: If something else is drawn: what is drawn depends on more than the size of the batch.
    """

    def __init__(self, generator: torch.Generator, calls: list[Call], drawn: Params) -> None:
        super().__init__(generator)
        self.expected, self.drawn = iter(enumerate(calls)), drawn

    def draw(self, call: Call) -> Tensor:
        number, expected = next(self.expected, (0, None))
        if call != expected:
            raise ValueError("what losses draws depends on more than the size of the batch")
        return self.drawn[name_of(number)]


def draw_all(calls: list[Call], generator: torch.Generator) -> Params:
    """Draw in order what ``calls`` say; return it by name."""
    return {
        name_of(number): call.function(*call.args, generator=generator, **call.kwargs)
        for number, call in enumerate(calls)
    }


def name_of(number: int) -> str:
    """Return the name of a draw among the buffers of a step; no tensor of a module has a space in it."""
    return f"draw {number}"
