"""FullyShardedDataParallel for runs that are measured, continued, and clipped by the norm of their gradient."""

from typing import Any, TypeGuard

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel


def is_sharded(model: nn.Module | None) -> TypeGuard[nn.Module]:
    """Return whether FSDP has cut parameters of a model, as a whole or of some of its layers."""
    return model is not None and bool(FullyShardedDataParallel.fsdp_modules(model))


class ShardedStrategy(FSDPStrategy):
    """Lightning's ``FSDPStrategy``, which clips by norm too, and measures after training what is sharded already."""

    _sharded: nn.Module | None = None

    def connect(self, model: LightningModule) -> None:
        super().connect(model)
        if isinstance(self._sharded, FullyShardedDataParallel) and self._sharded.module is model:
            self.model = self._sharded  # its parameters are shards: Lightning would cut them once more

    def _setup_model(self, model: nn.Module) -> nn.Module:
        if model is not self._sharded:
            self._sharded = super()._setup_model(model)
        return self._sharded

    def setup(self, trainer: Trainer) -> None:
        super().setup(trainer)
        if isinstance(self.model, FullyShardedDataParallel):
            self.precision_plugin.clip_grad_by_norm = self._clip_by_norm  # type: ignore[method-assign]

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Load weights and optimizers; Lightning fails for an optimizer without state, as SGD without momentum is."""
        saved = torch.load(checkpoint_path, map_location="cpu", weights_only=True, mmap=True)
        states = saved.get("optimizer_states", [])
        if any(state["state"] for state in states):
            return super().load_checkpoint(checkpoint_path, weights_only)
        assert self.lightning_module is not None
        state = self.lightning_module.trainer.state
        fn, state.fn = state.fn, TrainerFn.VALIDATING  # where it loads weights alone
        try:
            checkpoint = super().load_checkpoint(checkpoint_path, weights_only)
        finally:
            state.fn = fn
        for optimizer, kept in zip(self.optimizers, states, strict=False):
            for group, settings in zip(optimizer.param_groups, kept["param_groups"], strict=True):
                group |= {name: value for name, value in settings.items() if name != "params"}
        return checkpoint

    def _clip_by_norm(self, optimizer: Any, clip_val: float) -> None:
        """Clip by the norm of the whole gradient, of which a process holds a shard."""
        assert isinstance(self.model, FullyShardedDataParallel)
        self.model.clip_grad_norm_(clip_val)
