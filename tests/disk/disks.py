"""A small disk of its own that a test fills up, makes room on, and makes read-only.

A mounted tmpfs: `ENOSPC` and `EROFS` come from the kernel. Only root may mount; where it is not
allowed, tests of a full disk are skipped, and a folder becomes read-only by its permissions.

Add here: another fault of a disk. Keep out: who writes on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SIZE_MB = 16
_CHUNKS = (1 << 20, *[1 << 12, 1] * 3)


@dataclass(frozen=True)
class Disk:
    """A folder; `mounted` says that it is a file system of its own."""

    folder: Path
    mounted: bool

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave room for not one byte more."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in _CHUNKS:
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written meanwhile; nobody may hold a file open for writing."""
        if self.mounted:
            self._remount("ro")
        else:
            self._chmod(0o555, 0o444)
        try:
            yield
        finally:
            if self.mounted:
                self._remount("rw")
            else:
                self._chmod(0o755, 0o644)

    def _remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True)

    def _chmod(self, folders: int, files: int) -> None:
        for path in [self.folder, *self.folder.rglob("*")]:
            path.chmod(folders if path.is_dir() else files)


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Mount a small disk on `folder` while that is possible; a plain folder elsewhere."""
    folder.mkdir()
    mounted = _mount(folder)
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def require_mounted(made: Disk) -> None:
    """Skip the test where nothing can be mounted: such a disk never fills up."""
    if not made.mounted:
        pytest.skip("no disk of its own can be mounted here (root may): none can be filled up")


def _mount(folder: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MB}m", "thunes-test"]
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    return done.returncode == 0
