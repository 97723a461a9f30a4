"""One bar for a whole sweep."""

import threading
import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class SweepProgress:
    """A Rich bar that counts model-steps: how many a second, the time left, how many runs diverged."""

    def __init__(self, num_models: int, model_steps: int, shown: bool = True) -> None:
        self.bar = Progress(
            TextColumn("{task.fields[runs]} runs"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.fields[speed]}"),
            TimeRemainingColumn(),
            transient=True,
            disable=not shown,
        )
        self.task = self.bar.add_task(
            "sweep", total=model_steps, runs=num_models, speed="preparing or compiling"
        )
        self.started = time.perf_counter()
        self.done = self.diverged = 0
        self.lock = threading.Lock()

    def __enter__(self) -> "SweepProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def report(self, model_steps: int, diverged: int) -> None:
        """Take in model-steps and diverged runs since the last call, from any thread."""
        with self.lock:
            self.done += model_steps
            self.diverged += diverged
            rate = self.done / (time.perf_counter() - self.started)
            speed = f"{rate:,.0f} models x steps/s" + (f", {self.diverged} diverged" if self.diverged else "")
            self.bar.update(self.task, completed=self.done, speed=speed)
