"""Every exception of gaplab, and what each of them means for a command."""

import signal


class ConfigError(ValueError):
    """A mistake in the configuration that the user can mend; the text is shown without a traceback."""


class Preempted(BaseException):
    """A signal ended the run after its state was saved; not an ``Exception``, as it ends a sweep too."""

    def __init__(self, number: int, step: int | None = None, *, saved: bool = True) -> None:
        name = signal.Signals(number).name
        super().__init__(name if step is None else f"{name} at step {step}")
        self.number = number
        self.step = step
        """Where the run stood; None if the signal came between runs."""
        self.saved = saved
        """Whether there is a state to continue from."""
        self.requeued = False
        """Whether the scheduler has been asked to start the job again."""


class Pruned(BaseException):
    """A search stopped the run at a rung after its state was saved; not an ``Exception``, as nothing has failed."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped at the rung of step {step}; resume=RUN trains it to its end")
        self.step = step


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""

    advice = "Try a smaller optimizer.lr, optimizer.max_grad_norm=1, or another network.initialization."

    def __init__(self, quantity: str, step: int) -> None:
        super().__init__(f"{quantity} is not finite at step {step}")
        self.quantity = quantity
        self.step = step


class CannotWriteError(RuntimeError):
    """The disk is full or a directory cannot be written any more; the text says which and what to do."""


class RendezvousError(ConfigError):
    """The processes of a run did not find each other."""


class RanksDisagreeError(RuntimeError):
    """The processes of a run ended with different parameters."""


class OtherProcessFailedError(RuntimeError):
    """Another process of the run failed; the text is its message."""
