"""Tables from files: columns, splits, classes, standardisation, and a sentence for every mistake."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gaplab.builders.data import build_data
from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.randomness import make_generator
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.train import run_one, run_planned

ROWS = 40


def write_csv(path: Path, **columns: Any) -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    return write_csv(
        tmp_path / "points.csv",
        x=generator.normal(1e6, 2, ROWS),
        y=generator.normal(size=ROWS),
        constant=[3] * ROWS,
        color=["red", "blue", "green", "blue"] * (ROWS // 4),
        height=generator.normal(size=ROWS),
        part=["train", "val", "test", "train"] * (ROWS // 4),
    )


def built(path: Path, *words: str) -> Any:
    config = compose_config(["data=file", f"data.path={path}", "data.batch_size=8", *words]).config
    return build_data(config, make_generator(0))


def test_columns_classes_shares_and_standardisation(table: Path) -> None:
    words = ("data.target=color", "data.features=[x,y,constant]")
    data = built(table, *words)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 24, "val": 8, "test": 8}
    assert data.facts["classes"] == ["blue", "green", "red"]
    assert data.num_classes == 3
    train = data.splits["train"].points
    assert torch.allclose(train.mean(0), torch.zeros(3), atol=1e-6)
    assert torch.allclose(train.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-6)
    raw = built(table, *words, "data.standardize=false")
    assert float(raw.splits["test"].points[:, 0].min()) > 9e5
    assert torch.equal(raw.splits["test"].labels, data.splits["test"].labels)
    assert not torch.equal(
        built(table, *words, "data_seed=1").splits["test"].labels, data.splits["test"].labels
    )


def test_a_split_column_and_a_real_target(table: Path) -> None:
    data = built(table, "data.target=height", "data.split_column=part", "data.features=[x,y]")
    assert list(map(len, data.splits.values())) == [20, 10, 10]
    assert data.num_classes == 0
    column = np.genfromtxt(table, delimiter=",", skip_header=1)[:, 4]
    assert np.allclose(data.splits["val"].labels, column[1::4])


def test_archives_of_arrays(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, label=np.arange(20) % 2)
    data = built(tmp_path / "a.npz", "data.standardize=false")
    assert data.example_shape == (1, 4, 4)
    assert float(torch.cat([split.points for split in data.splits.values()]).max()) == images.max() / 255
    np.savez(tmp_path / "b.npz", x=np.array([{}, {}], dtype=object), label=np.arange(2))
    with pytest.raises(ConfigError, match=r"b\.npz cannot be read: .*allow_pickle=False"):
        built(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.target=colour"], r"data\.target: .*'colour'\. Did you mean 'color'\?"),
        (["data.target=color", "data.features=[z]"], r"data\.features: .*The columns are: x, y"),
        (["data.target=color"], "data.features: expected numbers, but the column 'part' holds 'train'"),
        (["data.target=color", "data.features=[x]", "data.target_is=real"], "data.target_is: expected class"),
        (["data.target=x", "data.split_column=color", "data.features=[y]"], "data.split_column: .*'blue'"),
        (["data.target=color", "data.features=[x]", "data.num_points=99"], "at most the 24 train points"),
    ],
)
def test_a_mistake_is_one_sentence(table: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(table, *words)


def test_values_that_are_missing_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", x=[1.5, "", 2], label=[0, 1, 0])
    with pytest.raises(ConfigError, match="the column 'x' misses 1, the first in row 2"):
        built(path)
    (tmp_path / "b.csv").write_text("x,label\n1,2\n3\n")
    with pytest.raises(ConfigError, match="2 values in each row, but row 2 .* has 1"):
        built(tmp_path / "b.csv")
    (tmp_path / "c.npz").write_text("no archive")
    with pytest.raises(ConfigError, match=r"c\.npz cannot be read"):
        built(tmp_path / "c.npz")
    (tmp_path / "d.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"expected a \.csv, \.parquet or \.npz file"):
        built(tmp_path / "d.txt")
    with pytest.raises(ConfigError, match=r"data\.path: expected a file that is there"):
        built(tmp_path / "e.csv")


def test_a_run_records_the_file_and_does_not_continue_on_another_content(table: Path, tmp_path: Path) -> None:
    composed = compose_config(
        [
            *(
                "data=file",
                f"data.path={table}",
                "data.target=color",
                "data.features=[x,y]",
                "data.batch_size=8",
            ),
            *("trainer.max_steps=4", "trainer.progress_bar=false", "trainer.accelerator=cpu"),
        ]
    )
    run_one(composed, tmp_path / "run")
    facts = read_json(tmp_path / "run/run.json")["data"]
    assert facts["path"] == str(table)
    assert len(facts["sha256"]) == 64
    table.write_text(table.read_text().replace("red", "rose"))
    with pytest.raises(ConfigError, match=r"data\.path: expected the content .* changed"):
        run_planned(plan_resumption(tmp_path / "run", ["trainer.max_steps=6"]))
    with pytest.raises(ConfigError, match=r"data\.path: expected the content .* run\.again=true"):
        plan_new(compose_config(composed.overrides), tmp_path / "run")  # the same command again
