"""What a command says, which never decides what becomes of a run."""

import io
import os
import sys


class SteadyOutput(io.RawIOBase):
    """A descriptor that takes everything: once nobody reads it, or nothing fits in, the rest goes nowhere.

    A reader such as ``head -1`` closes its end of the pipe, a terminal goes away, the disk of a log file is full.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, content: bytes) -> int:  # type: ignore[override]  # what a BufferedWriter hands over
        try:
            return os.write(self.descriptor, content)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.descriptor)
            os.close(nowhere)
            return len(content)


def steady_output() -> None:
    """Let neither a closed pipe nor a terminal of few letters make an error of what this process prints.

    Streams that somebody else has put in the place of the interpreter's stay as they are.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        if isinstance(getattr(stream.buffer, "raw", None), SteadyOutput):
            continue
        stream.flush()
        steady = io.TextIOWrapper(
            io.BufferedWriter(SteadyOutput(descriptor)),  # type: ignore[type-var]  # a raw stream as any other
            encoding=stream.encoding,
            errors="replace" if name == "stdout" else "backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, steady)
        setattr(sys, f"__{name}__", steady)
        stream.detach()  # or it would close the descriptor with its own end
