"""A store whose values carry a proof that their sender knows the secret of the run.

PyTorch's ``TCPStore`` lets in whoever reaches its port. The secret reaches the processes another way: through the pipe
of a process that starts another, in the environment, or in a file of mode 0600 below ``run.root``.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]  # documented

from gaplab.distributed.ranks import SECRET, Ranks
from gaplab.errors import RendezvousError
from gaplab.storage.atomic import replacing

PROOF = "proof"
"""Key under which rank 0 shows that it knows the secret; whoever finds it knows that the file is there, too."""
PATIENCE = timedelta(minutes=30)
"""How long the others wait for what rank 0 decides, as for a collective call."""
FILE_SECONDS = 10.0
"""How long a file system may take to show a file to another node."""


def proof(secret: str, name: str, content: str = "") -> str:
    """Return the HMAC-SHA256 (RFC 2104) of a value and of the name under which it stands, as 64 hexadecimal digits."""
    return hmac.digest(secret.encode(), f"{name}\0{content}".encode(), "sha256").hex()


class SealedStore:
    """What rank 0 tells the others, one message after another.

    Attributes:
        store: Holds them, and what PyTorch keeps there, under names that follow from the secret.
    """

    def __init__(self, store: Store, secret: str, rank: int) -> None:
        self.store = PrefixStore(proof(secret, "names"), store)
        self._secret = secret
        self._rank = rank
        self._messages = 0

    def tell(self, content: str) -> None:
        name = self._next_name()
        self.store.set(name, proof(self._secret, name, content) + content)

    def hear(self) -> str:
        """Return the next message of rank 0.

        Raises:
            RendezvousError: If it does not carry the proof.
        """
        name = self._next_name()
        self.store.wait([name], PATIENCE)
        message = self.store.get(name).decode(errors="replace")
        sent, content = message[:64], message[64:]
        if not hmac.compare_digest(sent.encode(), proof(self._secret, name, content).encode()):
            raise RendezvousError(
                f"process {self._rank}: expected the plan of process 0, but what came does not carry the proof of "
                "this run's secret; it was not read. Somebody else writes into the run's store: see docs/cluster.md."
            )
        return content

    def _next_name(self) -> str:
        self._messages += 1
        return f"message/{self._messages}"


@contextlib.contextmanager
def shared_secret(ranks: Ranks, root: Path, store: Store, timeout: timedelta) -> Iterator[str]:
    """Yield the secret of the run, once it is known that rank 0 has the same.

    Args:
        ranks: The place of this process; may hold the secret already.
        root: Where rank 0 leaves it otherwise, for the length of its block.
        store: Where the processes meet.
        timeout: How long to wait for rank 0.

    Raises:
        RendezvousError: If there is no secret, or rank 0 has another.
    """
    place = "\0".join((ranks.starter, ranks.job, ranks.address, str(ranks.port)))
    file = root / f".secret-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    if ranks.rank == 0:
        with contextlib.nullcontext(ranks.secret) if ranks.secret else _left_in(file) as secret:
            store.set(PROOF, proof(secret, PROOF))
            yield secret
        return
    store.wait([PROOF], timeout)
    secret = ranks.secret or _read(file, ranks.rank, min(FILE_SECONDS, timeout.total_seconds()))
    if not hmac.compare_digest(store.get(PROOF), proof(secret, PROOF).encode()):
        raise RendezvousError(
            f"process {ranks.rank}: expected to meet process 0 of this run at {ranks.address}:{ranks.port}, but who "
            f"is there does not know the run's secret. Give all processes the same {SECRET}, or none; if they have "
            "it, somebody else took the port: set another MASTER_PORT."
        )
    yield secret


@contextlib.contextmanager
def _left_in(file: Path) -> Iterator[str]:
    """Leave a new secret in a file that only this user can read, for the length of the block."""
    made = [folder for folder in file.parents if not folder.exists()]
    secret = secrets.token_hex(32)
    try:
        with replacing(file) as path, open(path, "x", opener=partial(os.open, mode=0o600)) as opened:
            opened.write(secret)
    except OSError as error:
        raise RendezvousError(
            f"run.root: expected a folder where process 0 can leave the run's secret for the others, but: {error}. "
            f"Name another one, or export the same random {SECRET} to all processes."
        ) from error
    try:
        yield secret
    finally:
        file.unlink(missing_ok=True)
        for folder in made:  # a mistake that is found later leaves nothing behind
            with contextlib.suppress(OSError):
                folder.rmdir()


def _read(file: Path, rank: int, seconds: float) -> str:
    """Return what is in a file that belongs to this user and that nobody else can read or write."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with open(
                file, opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
            ) as opened:
                found = os.fstat(opened.fileno())
                if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
                    raise OSError("it is not a file of this user alone")
                return opened.read()
        except OSError as error:
            if isinstance(error, FileNotFoundError) and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise RendezvousError(
                f"process {rank}: expected the run's secret in {file}, where process 0 left it, but: "
                f"{error.strerror or error}. All nodes must see the same run.root, or export the same random {SECRET} "
                "to all processes."
            ) from error
