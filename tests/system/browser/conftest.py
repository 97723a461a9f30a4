"""A finished run and a small sweep, a real TensorBoard that shows them, and a headless browser."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gaplab.config.compose import compose_config
from gaplab.errors import DivergedError
from gaplab.train import run_one

PROJECT = Path(__file__).parents[3]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
QUICK = [
    "data.num_val_points=200",
    "data.num_test_points=1000",
    "network.widths=[16]",
    "data.num_points=100",
    "trainer.max_steps=1200",
    "logging.pictures_every_n_evaluations=2",
    "trainer.eval_every_n_steps=200",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
]
GAN = [
    "experiment=gan_ring",
    "data.num_points=400",
    "data.num_val_points=400",
    "data.num_test_points=400",
    "task.num_samples=400",
    "trainer.max_steps=40",
    "trainer.eval_every_n_steps=10",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
]
SEEDS = (0, 1, 2)
SECONDS = 60


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``single`` (all diagnostics), ``two_players`` (a GAN), ``diverged`` and ``sweep`` (three seeds)."""
    root = tmp_path_factory.mktemp("board") / "logs"
    sweep = [f"seed={','.join(map(str, SEEDS))}", f"hydra.sweep.dir={root / 'sweep'}"]
    command = [sys.executable, "train.py", "-m", *QUICK, *sweep]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        full = ["seed=5", "logging.diagnostics=full", "logging.projector=true"]
        single = compose_config([*QUICK, *full])
        single.varied, single.number = ["seed"], 5  # the page HPARAMS takes its columns from any one run
        run_one(single, root / "single")
        run_one(compose_config(GAN), root / "two_players")
        for row in (root / "two_players").glob("*.session"):
            row.unlink()  # the page HPARAMS takes its columns from one run, here from a classifier
        with pytest.raises(DivergedError):
            run_one(compose_config([*QUICK, "optimizer=sgd", "optimizer.lr=1e20"]), root / "diverged")
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
    return root


@pytest.fixture(scope="session")
def address(logs: Path) -> Iterator[str]:
    """Where TensorBoard shows ``logs``, on a free port of this machine only."""
    command = [sys.executable, "-m", "gaplab.look", logs.name, "--port", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=logs.parent, **pipes) as process:
        try:
            url = _announced(process)
            expected = {
                "single",
                "single/test",
                "two_players",
                "two_players/test",
                "diverged",
                "sweep/summary",
            }
            expected |= {*(f"sweep/seed={seed}" for seed in SEEDS)}
            _wait_for(lambda: expected <= set(_get(f"{url}data/runs")))
            # Runs come one after the other: whatever has events on the disk is there.
            written = {str(file.parent.relative_to(logs)) for file in logs.rglob("events.out.tfevents.*")}
            _wait_for(lambda: written <= set(_get(f"{url}data/runs")))
            yield url
        finally:
            process.terminate()


def _announced(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said, deadline = "", time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stdout], [], [], 1.0)[0]:
            said += process.stdout.readline()
            match = re.search(r"http://127\.0\.0\.1:\d+/", said)
            if match:
                return match[0]
    raise AssertionError(f"TensorBoard did not start: {said}")


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "TensorBoard does not show the runs"
        time.sleep(0.2)


def _get(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="session")
def ask(address: str) -> Callable[..., Any]:
    """``ask(path, body=None)``: what TensorBoard's HTTP API answers."""

    def ask(path: str, body: Any = None) -> Any:
        return _get(f"{address}data/{path}", body)

    return ask


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots: ``GAPLAB_SCREENSHOTS``, or a temporary one."""
    named = os.environ.get("GAPLAB_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without internet and with a fresh profile, in which TensorBoard keeps pins and smoothing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install --no-install-recommends chromium")
    with playwright.sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=CHROMIUM,
            args=FLAGS,
            viewport={"width": 1500, "height": 1000},
        )
        context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        context.set_default_timeout(1000 * SECONDS)
        yield context
        context.close()


@pytest.fixture
def page(context: Any) -> Iterator[Any]:
    """A fresh tab; the test fails if the page reports an error of its own."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    page.close()
    assert errors == []
