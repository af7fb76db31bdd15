"""The first process of a container: `python launcher.py '{...}'`, within mount and process namespaces of its own.

It mounts the root as it is asked to, gives up every right that it is asked to, and becomes the command.
"""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NO_NEW_PRIVILEGES, DROP_FROM_BOUNDING_SET, CAPABILITIES = 38, 24, 41  # of prctl


def mount(*arguments: str) -> None:
    """Mount something."""
    subprocess.run(["/usr/bin/mount", *arguments], check=True)


def prepare(spec: dict[str, Any]) -> None:
    """Mount the root's layers, and what containers have besides."""
    root = spec["root"]
    options = f"lowerdir={':'.join(spec['lower'])}"
    if spec["upper"]:
        options += f",upperdir={spec['upper']}/up,workdir={spec['upper']}/work"
    mount("-t", "overlay", "overlay", "-o", options, root)
    for source, target, how in spec["mounts"]:
        mount("--bind", source, root + target)
        if how == "ro":
            mount("-o", "remount,bind,ro", root + target)
    for target, how in spec["tmpfs"].items():
        mount("-t", "tmpfs", "-o", how, "tmpfs", root + target)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    if spec["read_only"]:
        mount("-o", "remount,bind,ro", root)


def give_up(spec: dict[str, Any]) -> None:
    """Become the user, without any right of root's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if spec["user"]:
        uid, gid = spec["user"]
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        for capability in range(CAPABILITIES):
            libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def main() -> None:
    spec = json.loads(sys.argv[1])
    prepare(spec)
    os.chroot(spec["root"])
    os.chdir("/")
    Path(spec["folder"]).mkdir(parents=True, exist_ok=True)
    give_up(spec)
    os.chdir(spec["folder"])
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606  what the test asks for


if __name__ == "__main__":
    main()
