"""Every shipped choice keeps the promises that ``check_choice`` asks of a user's own."""

from pathlib import Path

import pytest

from gaplab.testing import check_choice
from shipped_choices import COMPANIONS, shipped_choices

SMALL = ("data.num_points=120", "data.num_val_points=100", "data.num_test_points=120", "data.batch_size=32")
SIZES_OF_THEIR_OWN = ("data=file", "data=two_spirals")
PROJECT = ("task.module=lightning_projects.Net", "task.datamodule=lightning_projects.BlobsDM")
FURTHER = {
    "data=swiss_roll": ["task=gan", "task.num_samples=100"],
    "task=flow_matching": ["data=ring", "task.num_samples=100"],
    "task=diffusion": ["data=ring", "task.num_samples=100"],
    "task=gan": ["data=ring", "task.num_samples=100"],
    "task=lightning": list(PROJECT),
}
"""Fewer samples than elsewhere, and what is only trained here."""
MORE = (
    "data=digits network=cnn network.norm=batch",
    "network.dropout=0.2",
    "optimizer=torch optimizer.name=Muon schedule=torch schedule.name=OneCycleLR schedule.args.max_lr=0.01 "
    "schedule.args.cycle_momentum=false",
    "optimizer=sgd schedule=torch schedule.name=ReduceLROnPlateau callbacks=[LearningRateMonitor]",
    "trainer.accumulate_grad_batches=2 trainer.gradient_clip_val=1 data.label_noise=0.1",
)
QUICK = ("network=cnn", "task=lightning")
"""Those of the fast suite, with the promises that need no second process."""


def words_of(choice: str) -> list[str]:
    words = [*choice.split(), *(FURTHER.get(choice) or COMPANIONS.get(choice, []))]
    if choice in SIZES_OF_THEIR_OWN or choice == "task=lightning":
        return words
    given = {word.partition("=")[0] for word in words}
    return [*words, *(word for word in SMALL if word.partition("=")[0] not in given)]


@pytest.mark.parametrize("choice", QUICK)
def test_a_choice_keeps_its_promises_alone(choice: str, tmp_path: Path) -> None:
    check_choice(*words_of(choice), leave_out=["shares"], folder=tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("choice", [*shipped_choices(), *MORE], ids=str)
def test_a_choice_keeps_every_promise(choice: str, tmp_path: Path) -> None:
    # A batch size of a project is that of one process, so that two processes train on other batches.
    leave_out = ["shares"] if choice == "task=lightning" or "norm=batch" in choice else []
    check_choice(*words_of(choice), leave_out=leave_out, folder=tmp_path)
