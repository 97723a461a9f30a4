"""A real SLURM of two virtual nodes on the loopback interface, all of whose state lies in one folder."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "sinfo")

CONFIGURATION = """
ClusterName=gaplab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,requeue_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
KillWait=5
JobRequeue=1
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first_node}-{second_node}] CPUs=4 Gres=gpu:2
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=60 State=UP
"""


def missing() -> str | None:
    """Say what this machine lacks for a SLURM of its own; None if nothing."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)} (Debian: slurmctld slurmd slurm-client munge)"
    return None if os.geteuid() == 0 else "the daemons need root"


class Slurm:
    """The daemons; ``environment`` makes the client commands talk to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = socket.gethostname().split(".")[0]
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "MASTER_ADDR": "127.0.0.1"}
        self.daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        ports = _free_ports(3)
        names = ("controller", "first_node", "second_node")
        text = CONFIGURATION.format(
            host=self.host, folder=self.folder, **dict(zip(names, ports, strict=True))
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        devices = [self.folder / f"gpu{number}" for number in range(2)]
        for device in devices:
            device.symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in devices))
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir()
        self._start_munge()
        self._start("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-N", node, "-f", str(self.folder / "slurm.conf"))
        wait_until(
            lambda: sorted(self.ask("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()) == ["n1", "n2"]
        )

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        folder.mkdir(mode=0o711)
        key = folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        owner = pwd.getpwnam("munge")
        for path in (folder, key):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)  # munge must be able to reach its folder
        files = {
            "key-file": "key",
            "socket": "sock",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        options = [f"--{option}={folder / name}" for option, name in files.items()]
        self._start(
            "munged", "--foreground", "--num-threads=1", *options, user=owner.pw_uid, group=owner.pw_gid
        )
        wait_until((folder / "sock").exists)

    def _start(
        self, program: str, *arguments: str, user: int | None = None, group: int | None = None
    ) -> None:
        path = shutil.which(program)
        assert path is not None
        with (self.folder / f"{program}.out").open("ab") as log:
            self.daemons.append(
                subprocess.Popen(
                    [path, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=user,
                    env=os.environ | self.environment,
                )
            )

    def ask(self, *words: str) -> str:
        """Return what a client command prints."""
        answer = subprocess.run(
            words, capture_output=True, text=True, timeout=120, env=os.environ | self.environment
        )
        return answer.stdout.strip()

    def state(self, job: str) -> str:
        """Return the state of a job, such as COMPLETED."""
        words = self.ask("scontrol", "show", "job", job).split()
        states = [word.removeprefix("JobState=") for word in words if word.startswith("JobState=")]
        return ",".join(sorted(set(states)))

    def restarts(self, job: str) -> int:
        """Return how often SLURM has requeued a job."""
        words = self.ask("scontrol", "show", "job", job).split()
        return max((int(word.removeprefix("Restarts=")) for word in words if "Restarts=" in word), default=0)

    def stop(self) -> None:
        self.ask("scancel", "--state=PENDING,RUNNING", "--user=root")
        time.sleep(0.5)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def wait_until(condition: Callable[[], object], seconds: float = 60.0, every: float = 0.2) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(every)


def _free_ports(number: int) -> list[int]:
    """Neighbouring free ports, as the nodes of one line of slurm.conf need them."""
    for first in range(21_000 + os.getpid() % 5_000, 60_000):
        try:
            servers = [socket.create_server(("127.0.0.1", first + i)) for i in range(number)]
        except OSError:
            continue
        for server in servers:
            server.close()
        return list(range(first, first + number))
    raise RuntimeError("no free ports")
