"""The finding of a run in a few sentences."""

import pytest

from gaplab.reports.run_verdict import verdict_of_run


def history(train: tuple[float, ...], val: tuple[float, ...]) -> dict[int, dict[str, float]]:
    rows = zip(train, val, strict=True)
    return {
        10 * k: {"distance/sliced_w2_train": t, "distance/sliced_w2_val": v} for k, (t, v) in enumerate(rows)
    }


@pytest.mark.parametrize(
    ("train", "sentence"),
    [((0.5, 0.2, 0.1), "It overfits after step 10"), ((0.5, 0.2, 0.6), "It was better at step 10")],
)
def test_overfitting_is_a_value_that_rises_on_val_alone(train: tuple[float, ...], sentence: str) -> None:
    last = {"modes/captured": 7.0, "ceiling/modes/captured": 8.0, "modes/high_quality": 0.5}
    text = verdict_of_run({"last": last}, history(train, (0.5, 0.3, 0.7)))
    assert text.startswith("7 modes captured (a perfect sampler: 8), 50.0 % of the samples near one.")
    assert sentence in text
    assert "from 0.3000 to 0.7000" in text
