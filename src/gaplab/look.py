"""TensorBoard on this machine only, with addresses that matter: ``python -m gaplab.look RUN_OR_SWEEP``."""

import argparse
import contextlib
import importlib
import threading
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from gaplab.errors import ConfigError
from gaplab.process.exits import readable_exits
from gaplab.tensorboard.links import MOST_SELECTED, addresses_of_run, addresses_of_sweep

OPTIONS = (
    "--host",
    "127.0.0.1",
    "--samples_per_plugin",
    "images=1000,scalars=100000",
    "--reload_interval",
    "5",
)


def main(arguments: list[str] | None = None) -> None:
    """Start TensorBoard for a run or a sweep, show where it answers, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.look", description=__doc__)
    parser.add_argument("path", type=Path, metavar="RUN_OR_SWEEP", help="the directory of a run or a sweep")
    parser.add_argument("--port", type=int, help="default: 6006, or the next one that is free")
    options = parser.parse_args(arguments)
    with readable_exits():
        home = start(options.path, options.port)
        show(addresses(options.path, home), Console())
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def start(path: Path, port: int | None = None) -> str:
    """Start TensorBoard in this process, bound to the loopback interface; return its address.

    It shows the folder of a run, so that others are at hand, and a sweep; of a sweep with so many runs that
    TensorBoard selects none, the means. The tab "Generalization" is there whether or not the package is installed
    with its entry point.

    Raises:
        ConfigError: If the folder holds no run, or the port is taken.
    """
    root, shown = folders(path)
    from gaplab.reports.tensorboard_tab import GeneralizationPlugin
    from tensorboard import default, program

    plugins = [p for p in default.get_plugins() if p is not GeneralizationPlugin]
    board = program.TensorBoard(plugins=[*plugins, GeneralizationPlugin.loader(root)])
    words = ["gaplab.look", "--logdir", str(shown), *OPTIONS]
    board.configure(argv=words if port is None else [*words, "--port", str(port)])
    loading = threading.Thread(target=_load_findings, daemon=True)
    try:
        home: str = board.launch()
    except program.TensorBoardServerException as error:
        raise ConfigError(f"--port: expected a port that is free, but: {str(error).strip()}.") from error
    loading.start()
    return home


def folders(path: Path) -> tuple[Path, Path]:
    """Return the folder that the tab "Generalization" reads, and the one that TensorBoard's own pages show."""
    if kind_of(path) == "run":
        return path.resolve().parent, path.resolve().parent
    few = sum(1 for _ in path.glob("*/run.json")) <= MOST_SELECTED
    return path, path if few else path / "summary"


def _load_findings() -> None:
    """Import what the tab "Generalization" needs, torch above all, while the user opens the page."""
    importlib.import_module("gaplab.reports.tensorboard_tab.findings")


def kind_of(path: Path) -> str:
    """Return ``run`` or ``sweep``.

    Raises:
        ConfigError: If the folder is neither.
    """
    if (path / "run.json").is_file():
        return "run"
    if any(path.glob("*/run.json")):
        return "sweep"
    raise ConfigError(
        f"{path}: expected a run directory, which has a run.json, or a folder that holds run directories, but it "
        "is neither."
    )


def addresses(path: Path, home: str) -> dict[str, str]:
    """Return the addresses of a TensorBoard that shows a run or a sweep, by what they show."""
    if kind_of(path) == "sweep":
        return addresses_of_sweep(home)
    from gaplab.reports.gap_curves import gap_curves
    from gaplab.tensorboard.read_curves import read_history

    try:
        quantities = [curve.quantity for curve in gap_curves(read_history(path))]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path / 'metrics.csv'}: expected a table of numbers, but: {error}.") from error
    return addresses_of_run(path.resolve().name, quantities, (path / "test").is_dir(), home)


def show(found: dict[str, str], console: Console) -> None:
    """Print addresses as links, which no terminal breaks; where there is no terminal, as they are."""
    for what, address in found.items():
        if console.is_terminal:
            console.print(f"[link={address}]{escape(what)}[/link]", highlight=False)
        else:
            console.print(f"{what}: {address}", highlight=False, soft_wrap=True, markup=False)
    if console.is_terminal:
        first: Any = next(iter(found.values()))
        console.print(f"Without links: {first}  (Ctrl-C ends)", highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
