"""Hosts made of Linux namespaces: each with its own network, name, processes and files.

A host sees the code and nothing of another's files: a file system of its own lies over the one
folder that it writes to. Cables lead to the hub alone; no traffic leaves the namespaces. Killing a
host's first process ends all of it. Needs root and a kernel that permits it; skips elsewhere.

Add here: another misfortune of a host or a cable. Keep out: what runs on the hosts.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 40
_BIRTH = (
    "set -e; hostname {name}; ip link set lo up; mount -t tmpfs -o mode=0777 tmpfs {home}; "
    "mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo born; exec sleep 300"
)
_KINDS = ("--net", "--uts", "--ipc", "--mount", "--pid")
_UNSHARE = ("unshare", *_KINDS, "--fork", "--kill-child", "--mount-proc")


@dataclass
class Program:
    """A program on a host that answers by lines of JSON, and waits for lines."""

    process: subprocess.Popen[str]
    errors: str = ""

    def hear(self) -> Any:
        """Return the next line it says; fail with its errors when none comes."""
        assert self.process.stdout is not None
        said, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        if not said:
            pytest.fail(f"a program on a host said nothing for {PATIENCE_SECONDS} s")
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"a program on a host ended with {self.end()[0]}: {self.end()[1]}")
        return json.loads(line)

    def say(self, word: str = "go") -> None:
        """Give it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait until it has ended; return its exit code and the last it said of errors."""
        if self.process.returncode is None:
            _, self.errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, self.errors[-1500:]


@dataclass
class Host:
    """One host; `address` is its own, `hub` that of the hub as seen from it.

    `home` has the same name on every host, and on each a file system of its own lies there.
    """

    name: str
    home: Path
    address: str = ""
    hub: str = ""
    programs: list[Program] = field(default_factory=list)
    _born: subprocess.Popen[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        birth = _BIRTH.format(name=self.name, home=self.home)
        self._born = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", birth],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._born.stdout is not None
        if self._born.stdout.readline() != "born\n":
            self.kill()
            pytest.skip(f"no namespaces can be made here: {self._told}")
        children = Path(f"/proc/{self._born.pid}/task/{self._born.pid}/children")
        self.pid = int(children.read_text().split()[0])

    def command(self, *arguments: str) -> None:
        """Run a short command on this host; its failure fails the test."""
        subprocess.run([*self._enter(), *arguments], check=True, capture_output=True, timeout=20)

    def start(self, module: str, *arguments: str) -> Program:
        """Start a Python module on this host, with a home of its own."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.home),
            "THUNES_HOME": str(self.home / "thunes"),
        }
        started = subprocess.Popen(
            [*self._enter(), sys.executable, "-m", module, *arguments],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.programs.append(Program(started))
        return self.programs[-1]

    def kill(self) -> None:
        """End the host at once, with everything that runs on it."""
        self._born.kill()
        _, self._told = self._born.communicate(timeout=20)
        for program in self.programs:
            program.end()
        self.programs.clear()

    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.pid), *_KINDS]


@dataclass
class Network:
    """A hub and the hosts that are cabled to it."""

    hub: Host
    hosts: list[Host] = field(default_factory=list)

    def host(self, name: str) -> Host:
        """Add a host and its cable."""
        made = Host(name, self.hub.home)
        self.hosts.append(made)
        made.hub, made.address = (f"10.77.{len(self.hosts)}.{last}" for last in (1, 2))
        ends = (self.hub, f"to-{name}", made.hub), (made, "eth0", made.address)
        far = ("type", "veth", "peer", "name", "eth0", "netns", str(made.pid))
        cable = ("ip", "link", "add", f"to-{name}", "netns", str(self.hub.pid), *far)
        subprocess.run(cable, check=True, capture_output=True)
        for place, plug, address in ends:
            place.command("ip", "address", "add", f"{address}/24", "dev", plug)
            place.command("ip", "link", "set", plug, "up")
        return made

    def cut(self, host: Host) -> None:
        """Pull the cable of a host: neither end is told."""
        self.hub.command("ip", "link", "set", f"to-{host.name}", "down")

    def mend(self, host: Host) -> None:
        """Plug the cable in again."""
        self.hub.command("ip", "link", "set", f"to-{host.name}", "up")


@contextmanager
def network() -> Iterator[Network]:
    """Make a hub; end it and every host with the block."""
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip"))
    if sys.platform != "linux" or os.geteuid() != 0 or not tools:
        pytest.skip("hosts are made of namespaces: Linux, root, util-linux and iproute2 are needed")
    with tempfile.TemporaryDirectory(prefix="hosts") as home:
        made = Network(Host("hub", Path(home)))
        try:
            yield made
        finally:
            for host in (*made.hosts, made.hub):
                host.kill()


def eventually(found: Any, what: str) -> Any:
    """Return the first true answer of `found()`; fail after a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.1)
    pytest.fail(f"not within {PATIENCE_SECONDS} s: {what}")
