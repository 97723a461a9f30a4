"""What torchrun and SLURM say about a process, and the sentences for what cannot be."""

import pytest

from gaplab.distributed.ranks import SECRET, Ranks, check_ranks, find_ranks, first_host
from gaplab.errors import ConfigError
from gaplab.launch.processes import num_local_processes
from quick_runs import Compose

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "GROUP_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "h1",
    "MASTER_PORT": "29400",
}
BATCH = {"SLURM_JOB_ID": "41", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "night"}
SRUN = BATCH | {
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}


def test_torchrun_and_srun_place_a_process() -> None:
    four = {"rank": 3, "local_rank": 1, "node_rank": 1, "processes_per_node": 2, "num_nodes": 2}
    assert find_ranks(TORCHRUN) == Ranks(**four, address="h1", port=29400, starter="torchrun", job="x.0")
    assert find_ranks(SRUN) == Ranks(**four, address="gpu07", port=20_041, starter="srun", job="41.0")
    chosen = find_ranks(SRUN | {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5000"})
    assert chosen is not None
    assert (chosen.address, chosen.port) == ("10.0.0.1", 5000)
    alone = {"SLURM_STEP_TASKS_PER_NODE": "4", "SLURM_STEP_NODELIST": "gpu07"}
    on_one_node = find_ranks(SRUN | alone)
    assert on_one_node is not None
    assert on_one_node.address == "127.0.0.1", "no other machine can come there"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "1"},
        SRUN | {"SLURM_STEP_NUM_TASKS": "1"},
        BATCH | {"SLURM_JOB_NAME": "interactive"},
    ],
    ids=["laptop", "batch of one task", "srun of one task", "salloc"],
)
def test_nobody_else_has_started_processes(environment: dict[str, str]) -> None:
    assert find_ranks(environment) is None


@pytest.mark.parametrize("environment", [TORCHRUN, SRUN], ids=["torchrun", "srun"])
def test_the_secret_of_the_environment_is_taken_and_never_shown(environment: dict[str, str]) -> None:
    ranks = find_ranks(environment | {SECRET: "s" * 32})
    assert ranks is not None
    assert ranks.secret == "s" * 32
    assert "sss" not in repr(ranks)
    with pytest.raises(ConfigError, match="expected at least 32 random characters, such as .* but got 31"):
        find_ranks(environment | {SECRET: "s" * 31})


def test_impossible_placements_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected srun to start the 4 tasks"):
        find_ranks(BATCH)
    with pytest.raises(ConfigError, match="equally many tasks on every node, but got 3,1"):
        find_ranks(SRUN | {"SLURM_STEP_TASKS_PER_NODE": "3,1"})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.devices=4"], "trainer.devices: expected the 2 that srun started, but got 4"),
        (["trainer.num_nodes=1"], "trainer.num_nodes: expected the 2 that srun started, but got 1"),
        (["data.batch_size=3"], "trainer.devices: expected at most as many processes as points"),
        (["trainer.devices=2", "trainer.num_nodes=2"], None),
        ([], None),
    ],
)
def test_configuration_must_agree_with_what_was_started(
    quick: Compose, overrides: list[str], message: str | None
) -> None:
    ranks = find_ranks(SRUN)
    assert ranks is not None
    config = quick("data.batch_size=30", *overrides).config
    if message is None:
        check_ranks(ranks, config)
    else:
        with pytest.raises(ConfigError, match=message):
            check_ranks(ranks, config)


def test_plain_python_starts_the_processes_of_one_machine(quick: Compose) -> None:
    assert num_local_processes(quick("data.batch_size=30").config.trainer) == 1
    assert num_local_processes(quick("data.batch_size=30", "trainer.devices=3").config.trainer) == 3
    with pytest.raises(ConfigError, match="expected torchrun or srun to start processes on 2 nodes"):
        num_local_processes(quick("data.batch_size=30", "trainer.num_nodes=2").config.trainer)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [("n1", "n1"), ("n[1-2]", "n1"), ("a-b[07,09]", "a-b07"), ("x,y", "x"), ("n[3]", "n3")],
)
def test_first_host_of_a_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host
