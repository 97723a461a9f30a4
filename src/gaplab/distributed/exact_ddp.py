"""DistributedDataParallel with gradients that are exact when processes hold unequal shares of a batch."""

import warnings
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from gaplab.data.loader import Batch


class ExactDDPStrategy(DDPStrategy):
    """Lightning's ``DDPStrategy``, for tasks that return the mean loss over their own examples.

    DistributedDataParallel averages over processes with equal weights. A loss is therefore weighted by
    ``world_size * own / whole`` before its backward pass, which makes that average the mean over the whole
    batch. Batches of other loaders, which do not tell the size of the whole, keep the weight 1.

    Buffers, such as the running statistics of BatchNorm, are those of rank 0 in every forward pass, as
    DistributedDataParallel does it, and in every measurement. On GPUs ``build_trainer`` asks for SyncBatchNorm
    besides, which normalises by the whole batch; there is none for the CPU.
    """

    weight = 1.0

    def configure_ddp(self) -> None:
        assert self.lightning_module is not None
        if not self.lightning_module.automatic_optimization:
            # A player's phase gives the other one's parameters no gradient.
            self._ddp_kwargs["find_unused_parameters"] = True
        # Of a weight [1, D], whose strides have two spellings: nothing is slower for it.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        super().configure_ddp()

    def setup_optimizers(self, trainer: Trainer) -> None:
        super().setup_optimizers(trainer)
        for optimizer in self.optimizers:
            rooms = {kind.__module__.partition(".")[0] for kind in type(optimizer).__mro__}
            if rooms - {"torch", "gaplab", "builtins"} or isinstance(optimizer, LBFGS):
                self._decide_together(optimizer)

    def _decide_together(self, optimizer: Optimizer) -> None:
        """Show an optimizer that may look at losses, as a line search does, the loss of the whole batch.

        By its own part each process would search to another end, or call the closure more often than the others.
        """
        alone: Callable[..., Any] = optimizer.step

        def step(optimizer: Optimizer, closure: Callable[[], Tensor | None] | None = None) -> Any:
            if closure is None:
                return alone()

            def whole() -> Tensor | None:
                loss = closure()
                if loss is None:
                    return None
                total = loss.detach() * self.weight
                torch.distributed.all_reduce(total)
                return total / self.world_size

            return alone(whole)

        optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]  # schedules wrap a method

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        batch = args[0] if args else None
        self.weight = self.world_size * batch.share if isinstance(batch, Batch) else 1.0
        return super().training_step(*args, **kwargs)

    def backward(
        self, closure_loss: Tensor, optimizer: Optimizer | None, *args: Any, **kwargs: Any
    ) -> Tensor:
        return super().backward(closure_loss * self.weight, optimizer, *args, **kwargs)

    def on_validation_start(self) -> None:
        super().on_validation_start()
        assert self.lightning_module is not None
        for buffer in self.lightning_module.buffers():
            torch.distributed.broadcast(buffer, src=0)
