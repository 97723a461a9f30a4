"""When a run is measured."""

import pytest

from gaplab.config.compose import compose_config


@pytest.mark.parametrize(("steps", "expected"), [(60, (0, 10, 20, 30, 50, 60)), (1, (0, 1))])
def test_a_run_is_measured_at_step_0_and_more_often_at_its_beginning(
    steps: int, expected: tuple[int, ...]
) -> None:
    assert tuple(compose_config([f"trainer.max_steps={steps}"]).config.evaluation_steps) == expected
    patient = [f"trainer.max_steps={steps}", "trainer.early_stopping_patience=2"]
    assert (
        tuple(compose_config(patient).config.evaluation_steps)
        == tuple(range(1, 1 + steps))[max(1, steps // 10) - 1 :: max(1, steps // 10)]
    )
