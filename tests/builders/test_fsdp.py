"""``trainer.extra.strategy=fsdp``: where it is refused, and what Lightning builds for GPUs that are made up."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator

from gaplab.builders import build_trainer
from gaplab.config.compose import compose_config
from gaplab.distributed.ranks import Ranks
from gaplab.distributed.sharding import ShardedStrategy
from gaplab.errors import ConfigError
from gaplab.train import run_one


def test_fsdp_is_refused_where_it_makes_no_sense(tmp_path: Path) -> None:
    project = ["task=lightning", "task.module=lightning.pytorch.demos.boring_classes.BoringModel"]
    for words in ([], project):
        composed = compose_config([*words, "trainer.extra.strategy=fsdp", "trainer.accelerator=cpu"])
        with pytest.raises(ConfigError, match=r"trainer.extra.strategy: expected a GPU for fsdp"):
            run_one(composed, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Lightning believe in two GPUs for as long as nothing is put on them, as its own tests do."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: type("T4", (), {"major": 7}))
    for module in ("lightning.fabric.accelerators.cuda", "lightning.pytorch.accelerators.cuda"):
        monkeypatch.setattr(f"{module}.num_cuda_devices", lambda: 2)


def test_fsdp_shards_a_project_over_gpus_as_lightning_builds_it(two_gpus: None) -> None:
    def built(*words: str, strategy: str = "fsdp", project: bool = True) -> Any:
        named = "task.module=lightning.pytorch.demos.boring_classes.BoringModel"
        words = (*words, f"trainer.extra.strategy={strategy}", "trainer.devices=2")
        composed = compose_config([*(("task=lightning", named) if project else ()), *words])
        return build_trainer(composed.config, [], [], Ranks(processes_per_node=2))

    trainer = built("trainer.precision=bf16-mixed")
    assert isinstance(trainer.strategy, ShardedStrategy)
    assert isinstance(trainer.accelerator, CUDAAccelerator)
    assert (trainer.num_devices, trainer.world_size) == (2, 2)
    assert trainer.strategy.precision_plugin.mixed_precision_config.param_dtype is torch.bfloat16
    arguments = "{_target_: FSDPStrategy, sharding_strategy: SHARD_GRAD_OP, cpu_offload: true}"
    strategy = built(strategy=arguments).strategy
    assert (strategy.sharding_strategy.name, strategy.cpu_offload.offload_params) == ("SHARD_GRAD_OP", True)
    with pytest.raises(ConfigError, match=r"ClassificationConfig is measured.*task=lightning may be sharded"):
        built(project=False)
    with pytest.raises(ConfigError, match=r"expected state_dict_type=full.* got 'sharded'"):
        built(strategy="{_target_: FSDPStrategy, state_dict_type: sharded}")
