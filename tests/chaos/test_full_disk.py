"""A disk that fills up in the middle of a sync."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.settings import Settings
from tests.chaos.town import town

MOUNT, UMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own that can be made larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run([MOUNT, "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs rights that this user does not have")
    yield folder
    subprocess.run([UMOUNT, str(folder)], check=True)


def resize(folder: Path, size: str) -> None:
    subprocess.run([MOUNT, "-o", f"remount,size={size}", str(folder)], check=True)


def used(folder: Path) -> int:
    state = os.statvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


@pytest.mark.slow
def test_a_full_disk_is_an_error_and_no_loss(small_disk: Path):
    """Whatever is written when the room ends, the message names the disk; with room again, a rerun is clean."""
    settings = Settings("", small_disk / "data", 3001, "warning")
    with town(settings, customers=400) as living:
        for room in (16, 64, 256, 1024, 4096, 16384):
            living.live(400)
            resize(small_disk, f"{used(small_disk) // 1024 + room}k")
            done = living.sync()
            said = done.stdout + done.stderr
            assert "Traceback" not in said, said
            if done.returncode:
                assert "space" in said.lower() or "full" in said.lower(), said
            resize(small_disk, "512m")
            again = living.sync()
            assert again.returncode == 0, again.stdout + again.stderr
            living.check()
