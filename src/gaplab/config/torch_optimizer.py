"""``optimizer=torch``: any optimiser of ``torch.optim``, or one that an extension registers."""

from dataclasses import dataclass, field
from typing import Any

from gaplab.config.checks import check
from gaplab.config.optimizer import OptimizerConfig
from gaplab.config.parts import build_part, check_part, find_class, names_of, open_mapping
from gaplab.config.registry import choice
from gaplab.errors import ConfigError

FROM_THE_SECTION = ("lr", "weight_decay")
"""Arguments that every section ``optimizer`` has as keys of its own."""
FOR_MATRICES = "Muon"
"""The class that takes matrices only."""


@choice("optimizer", "torch")
@dataclass(kw_only=True, slots=True)
class TorchOptimizerConfig(OptimizerConfig):
    """A class by its name; its arguments beside ``lr`` and ``weight_decay`` stand in ``args``.

    Muon takes matrices only: all other parameters, such as biases, are then AdamW's, with the same learning rate and
    weight decay.
    """

    name: str = ""
    """Class of ``torch.optim``, or a name given to ``register("optimizer", name, Class)``."""
    args: dict[str, Any] = field(default_factory=open_mapping)
    """Further arguments of the class, typed by its signature."""

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        if not self.name:
            raise ConfigError(
                f"optimizer.name: expected one of {', '.join(names_of('optimizer'))}, but got none. "
                "Set optimizer.name=NAME."
            )
        if self.short_name == "LBFGS":
            raise ConfigError("optimizer.name: LBFGS is optimizer=lbfgs here, with a line search.")
        for key in FROM_THE_SECTION:
            if key in self.args:
                raise ConfigError(f"optimizer.args.{key}: it is a key of the section; set optimizer.{key}.")
        found = find_class("optimizer", self.name, "optimizer.name")
        check_part("optimizer", self.name, self.args, "optimizer.args", ("params", *FROM_THE_SECTION))
        if not self._takes(found, "weight_decay"):
            check(self.weight_decay == 0, "optimizer.weight_decay", f"0 with {self.name}", self.weight_decay)
        self._try(found)

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def decay_is_penalty(self) -> bool:
        return self.short_name not in ("AdamW", FOR_MATRICES) and not self.args.get("decoupled_weight_decay")

    def build(self, parameters: list[Any]) -> Any:
        found = find_class("optimizer", self.name, "optimizer.name")
        if self.short_name != FOR_MATRICES:
            return self._of(found, self.args, parameters)
        from torch.optim import AdamW

        from gaplab.tasks.split_optimizer import SplitOptimizer

        matrices = [parameter for parameter in parameters if parameter.ndim == 2]
        others = [parameter for parameter in parameters if parameter.ndim != 2]
        parts = [self._of(found, self.args, matrices)] if matrices else []
        return SplitOptimizer([*parts, *([self._of(AdamW, {}, others)] if others else [])])

    def _of(self, found: type, args: dict[str, Any], parameters: list[Any]) -> Any:
        groups = self.groups(parameters)
        if not self._takes(found, "weight_decay"):
            groups = [{"params": parameters}]
        return build_part(found, {**args, "lr": self.lr}, "optimizer.args", groups)

    @staticmethod
    def _takes(found: type, name: str) -> bool:
        from inspect import signature

        return name in signature(found).parameters

    def _try(self, found: type) -> None:
        """Take a step of a tiny network, so that a value that the class refuses is known before anything is written."""
        import torch

        parameters = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))]
        optimizer = self.build(parameters)
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        try:
            optimizer.step()
        except (RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise ConfigError(
                f"optimizer.name: expected an optimiser that can train a network, but {found.__name__} says: {reason}."
            ) from error
