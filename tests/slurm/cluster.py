"""A Slurm cluster on this machine, a controller and two nodes, for as long as the tests run."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ETC = Path("/etc/slurm")  # jobs do not inherit SLURM_CONF, so that the files must stand here
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")
MARK = "# Written by the tests of this workflow for as long as they run; may be deleted."
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
NODES = ("n1", "n2")
# Of two partitions one has GPUs, which exist in the books alone: requests are checked, nothing runs on them.
CONFIGURATION = """{mark}
ClusterName=vidistill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17001 CPUs=8 RealMemory=64000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17002 CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n2 MaxTime=INFINITE State=UP
"""
GPUS = "NodeName=n2 Name=gpu File={folder}/gpu[0-1]\n"


class UnavailableError(Exception):
    """Why there can be no cluster here, in a sentence."""


class Cluster:
    """What the tests do to a cluster, and ask it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for name in ("state", *NODES):
            (self.folder / name).mkdir()
        for name in ("gpu0", "gpu1"):
            (self.folder / name).touch()
        key, socket_file = self.folder / "munge.key", self.folder / "munge.socket"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = [f"--{what}-file={self.folder}/munge.{what}" for what in ("key", "pid", "log", "seed")]
        self._spawn("munged", "munged", "--foreground", "--force", f"--socket={socket_file}", *files)
        wait("munge", socket_file.exists)
        self._spawn("slurmctld", "slurmctld", "-D")
        wait("the controller", lambda: "is UP" in said("scontrol", "ping"))
        for node in NODES:
            self.start_node(node)
        wait("the nodes", lambda: all(state == "idle" for state in self.states().values()))

    def start_node(self, node: str) -> None:
        self._spawn(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """A node that is gone: its daemon, then whatever its jobs run."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        daemon.wait()
        self.kill_jobs(node)

    def states(self) -> dict[str, str]:
        """Node -> its state, such as idle or down*."""
        rows = said("sinfo", "--noheader", "--Node", "--format=%N|%T").split()
        return dict(row.split("|") for row in rows)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs, those that ended included; of arrays each task."""
        fields = {"id": "JobArrayID", "raw": "JobID", "state": "State", "node": "NodeList", "partition": "Partition"}
        fields |= {"gpus": "tres-per-job", "limit": "TimeLimit", "memory": "MinMemory", "comment": "Comment"}
        form = ",".join(f"{field}:|" for field in fields.values())
        rows = said("squeue", "--noheader", "--array", "--states=all", "--Format", form)
        return [dict(zip(fields, row.split("|"), strict=False)) for row in rows.splitlines()]

    def processes_of(self, job: dict[str, str]) -> list[psutil.Process]:
        """What runs of a job: the daemons of its steps and all below them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(f"slurmstepd: [{job['raw']}."):
                    found += [process, *process.children(recursive=True)]
        return found

    def kill_jobs(self, node: str) -> None:
        for job in self.jobs():
            if job["node"] == node and job["state"] == "RUNNING":
                kill(self.processes_of(job))

    def stop(self) -> None:
        for node in NODES:
            self.kill_jobs(node)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running cluster whose files are in `folder`; afterwards nothing of it is left.

    Raises:
        UnavailableError: there can be none here.
    """
    if os.geteuid():
        raise UnavailableError("no Slurm here: starting it takes root.")
    install()
    for name in FILES:
        if (ETC / name).exists() and not (ETC / name).read_text().startswith(MARK):
            raise UnavailableError(f"no Slurm for tests here: {ETC / name} is someone's, and stays as it is.")
    if (ETC / "slurm.conf").exists() and "is UP" in said("scontrol", "ping"):
        raise UnavailableError("no second Slurm here: another run of these tests has one.")
    ETC.mkdir(exist_ok=True)
    written = {
        "slurm.conf": CONFIGURATION.format(mark=MARK, folder=folder, host=socket.gethostname().split(".")[0]),
        "gres.conf": f"{MARK}\n{GPUS.format(folder=folder)}",
    }
    here = Cluster(folder)
    try:
        for name, text in written.items():
            (ETC / name).write_text(text)
        here.start()
        yield here
    finally:
        here.stop()
        for name in written:
            (ETC / name).unlink(missing_ok=True)


def install() -> None:
    """Slurm and munge from the packages of Debian and Ubuntu, where they are absent."""
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if not shutil.which("apt-get"):
        raise UnavailableError("no Slurm here, and no apt-get to install it.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Lists that cannot be brought up to date may do all the same.
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise UnavailableError(f"no Slurm here, and apt-get install failed: {' '.join(last)}")


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def said(*command: str) -> str:
    """What a program prints; nothing when it fails, as long as the controller starts."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


def wait(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    """Until `ready`."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.2)
