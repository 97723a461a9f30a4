"""Commands in processes that have the heavy imports behind them.

An interpreter that loads torch and Lightning takes seconds of processor time; a copy of one that has done so
takes none. ``Forked`` copies a template (``preloaded.py``), which has imported and done nothing else. Such a
command has what a process of its own has: arguments, environment, folder, session, signals, exit code. The
processes that it starts with ``python -m gaplab...`` are copies too, of which every module of ours and of the
user's is imported anew. What is tested about the start of an interpreter itself asks ``running`` for a fresh one.
"""

import atexit
import gc
import inspect
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn

PROJECT = Path(__file__).parents[1]
OURS = (str(PROJECT / "src"), str(PROJECT / "tests"))
TEMPLATE = multiprocessing.get_context("forkserver")


SHARED = "GAPLAB_TESTS_TEMPLATE"
"""Environment variable with the address of a template that the process which started this one keeps."""


@cache
def start_template() -> None:
    """Start the process that commands are copied from; several workers share the one of their controller."""
    if SHARED in os.environ:
        server = forkserver._forkserver  # type: ignore[attr-defined]
        server._forkserver_address = os.environ[SHARED]
        server._forkserver_alive_fd = os.open(os.devnull, os.O_WRONLY)  # the controller has the pipe's end
        server.ensure_running = lambda: None
        return
    TEMPLATE.set_forkserver_preload(["preloaded"])
    before = dict(os.environ)
    # One thread: torch reads the number while it loads.
    os.environ.update({"PYTHONPATH": os.pathsep.join(OURS), "OMP_NUM_THREADS": "1"})
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


def share_template() -> None:
    """Start the template before the workers, which find it by its address in their environment."""
    start_template()
    os.environ[SHARED] = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]


class Forked:
    """``python FILE ...`` or ``python -m MODULE ...``, with the methods of ``subprocess.Popen`` that tests call."""

    def __init__(self, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        start_template()
        arguments = (list(words[1:]), log, dict(environment))
        self._process = TEMPLATE.Process(target=_become, args=arguments, name="MainProcess")
        self._process.start()
        self.pid: int = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a command", seconds or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def skip_fsync() -> None:
    """Let nobody wait for the disk: tests end processes, whose files stay, and no machine."""
    os.fsync = lambda descriptor: None


def _become(arguments: list[str], log: Path, environment: dict[str, str]) -> NoReturn:
    os.setsid()
    os.chdir(log.parent)
    with log.open("ab") as output, open(os.devnull) as nothing:
        _take_streams(nothing.fileno(), output.fileno(), output.fileno())
    subprocess.Popen = CopiedPopen  # type: ignore[misc]
    skip_fsync()
    _interpret(arguments, environment)


class CopiedPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Copies this process where ``python -m gaplab...`` is to be started and there is no second thread."""

    def _execute_child(self, *given: Any) -> None:
        original = super()._execute_child  # type: ignore[misc]
        named: dict[str, Any] = inspect.signature(original).bind(*given).arguments
        words, environment = list(named["args"]), named["env"]
        plain = words[:2] == [sys.executable, "-m"] and words[2].startswith("gaplab.") and environment
        if not plain or len(os.listdir("/proc/self/task")) > 1:
            original(*given)
            return
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            if named["start_new_session"]:
                os.setsid()
            _take_streams(named["p2cread"], named["c2pwrite"], named["errwrite"])
            _forget(kept_files=named["pass_fds"])
            _interpret(words[1:], environment)
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            *(named[end] for end in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"))
        )


LEFT: list[Any] = []
"""What a copy must not take apart, as the original still has it."""


def _take_streams(*descriptors: int) -> None:
    for place, descriptor in enumerate(descriptors):
        if descriptor != -1:
            os.dup2(descriptor, place)
    LEFT.extend((sys.stdin, sys.stdout, sys.stderr))
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = (os.fdopen(place, "w", buffering=1) for place in (1, 2))


def _forget(kept_files: Sequence[int]) -> None:
    """Drop handlers, open files, and the modules that are not installed but somebody's own."""
    from preloaded import MODULES

    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor not in (0, 1, 2, *kept_files):
            with suppress(OSError):
                os.close(descriptor)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        own = name not in MODULES and file and not file.startswith(tuple(_installed()))
        if own or name.split(".")[0] in ("gaplab", "hydra_plugins"):
            LEFT.append(sys.modules.pop(name))
    atexit._clear()  # what the original has to do at its end
    gc.freeze()


def _installed() -> list[str]:
    return [folder for folder in sys.path if folder not in OURS and "python" in folder]


def _interpret(arguments: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Do what ``python`` with these arguments does, in what is left of the copied process."""
    multiprocessing.set_start_method(None, force=True)  # not the template's: that of a process of its own
    os.environ.clear()
    os.environ.update(environment)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    code = 0
    try:
        if arguments[0] == "-m":
            sys.argv, sys.path[:] = arguments[1:], [os.getcwd(), *paths, *_installed()]
            sys.modules.pop(sys.argv[0], None)
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[:] = arguments, [str(Path(arguments[0]).parent), *paths, *_installed()]
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
