"""The table that a sweep of GANs ends with."""

import json
from pathlib import Path

import yaml
from rich.console import Console

from gaplab.reports.sweep_report import report_sweep


def write_run(path: Path, words: list[str], loss: str, final: dict[str, float] | None) -> None:
    path.mkdir()
    status = "diverged" if final is None else "finished"
    (path / "run.json").write_text(json.dumps({"status": status, "seconds": 8.0}))
    (path / "overrides.yaml").write_text(yaml.safe_dump(words))
    task = {"num_samples": 100} | ({} if loss == "flow_matching" else {"loss": loss})
    config = {"choices": {"data": "ring", "task": "flow_matching"}, "task": task}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    if final is not None:
        (path / "result.json").write_text(json.dumps({"last": final}))
        (path / "checkpoints").mkdir()
        import torch

        content = {"state_dict": {}, "callbacks": {"Recorder": {"history": {5: final}}}}
        torch.save(content, path / "checkpoints" / "last.ckpt")


def test_seeds_are_one_row_beside_published_rows_and_the_ceiling(tmp_path: Path) -> None:
    for seed, quality in enumerate((0.90, 0.94, 0.98)):
        final = {"modes/high_quality": quality, "ceiling/modes/high_quality": 0.989}
        final |= {"judge/p_value_test": 0.5 * seed, "ceiling/judge/p_value_test": 0.4}
        write_run(tmp_path / f"h{seed}", [f"seed={seed}", "task.loss=hinge"], "hinge", final)
    write_run(tmp_path / "m", ["seed=0", "task.loss=minimax"], "minimax", None)
    write_run(tmp_path / "f", ["seed=0", "task=flow_matching"], "flow_matching", {"modes/high_quality": 0.97})
    console = Console(record=True, width=200)
    report_sweep(tmp_path, console)
    lines = console.export_text().splitlines()
    cells = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in lines
        if "│" in line
    }
    assert cells["hinge"] == ["3 of 3", "0.9, 0.94, 0.98", "2 of 3", "8, 8, 8"]
    assert cells["flow_matching"][:2] == ["1 of 1", "0.97"]
    assert cells["minimax"] == ["0 of 1", "", "", ""]
    assert cells["a perfect sampler"][:2] == ["", "0.989, 0.989, 0.989"]
    assert cells["PacGAN4 (PacGAN Table 1)"][1] == "0.959 ± 0.014"
    assert "Not finished: m: diverged" in lines
