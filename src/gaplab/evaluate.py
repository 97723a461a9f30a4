"""Measure a saved run again: ``python -m gaplab.evaluate RUN [data.noise=0.5 ...]``."""

import argparse
import json
from pathlib import Path

from gaplab.process.exits import readable_exits


def main(arguments: list[str] | None = None) -> None:
    """Print the scorecard of a run, on its own data or on data changed by overrides."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.evaluate", description=__doc__)
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument("overrides", nargs="*", help="changed settings, for example data.noise=0.5")
    parser.add_argument("--weights", default="best", help="best, last, or step=N if they were kept")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    options = parser.parse_intermixed_args(arguments)
    with readable_exits():
        table = evaluate(options.run, options.weights, options.overrides)
    if options.json:
        print(json.dumps(table, indent=2))
    else:
        for name, value in table.items():
            print(f"{name:32} {value:.6f}")


def evaluate(path: Path, weights: str = "best", overrides: list[str] | None = None) -> dict[str, float]:
    """Return the scorecard of a run's weights; see ``metrics.scorecard`` for its keys."""
    from gaplab.builders import build_trainer
    from gaplab.builders.callbacks import build_gap
    from gaplab.builders.load_run import load_run
    from gaplab.builders.process import prepare_process
    from gaplab.callbacks.generalization_gap import measures_itself, scorecard
    from gaplab.runs.recorder import final_scores

    loaded = load_run(path, weights=weights, overrides=overrides or [])
    prepare_process(loaded.config)
    section = loaded.config.trainer
    section.devices, section.num_nodes, section.progress_bar = 1, 1, False
    section.extra.pop("strategy", None)  # whose processes there may be no GPUs for here
    gap = [] if measures_itself(loaded.task) else [build_gap(loaded.config)]
    trainer = build_trainer(loaded.config, callbacks=[*gap], loggers=[])
    trainer.validate(loaded.task, datamodule=loaded.data, verbose=False)
    table = final_scores(loaded.task, loaded.data, 0)
    return scorecard(loaded.task) if table is None else table


if __name__ == "__main__":
    main()
