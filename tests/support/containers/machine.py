"""Starts commands in the root directory of an image: mounts and processes of their own, and the `/usr` of this machine.

`write_base` takes the place of the base image, such as python:3.13-slim. The Python of the tests is at `/usr/local`.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.namespaces import program

ENTERED = "entered"
"""The first line of the output of a command in a container."""

_ENTER = r"""
set -eu
root=$1 lower=$2 changes=$3 python=$4 read_only=$5
shift 5
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$changes/files,workdir=$changes/work" "$root"
bind() {
    if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}" && : >>"$root$2"; fi
    mount --bind "$1" "$root$2"
}
for pair in "/usr /usr" "$python /usr/local"; do
    bind ${pair}
    mount -o remount,ro,bind "$root${pair#* }"
done
[ ! -d /usr/share/fonts ] || mount -t tmpfs tmpfs "$root/usr/share/fonts"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    bind "$1" "$2"
    shift 2
done
shift
if [ -n "$read_only" ]; then
    mount -o remount,ro "$root"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
fi
exec chroot "$root" sh -c 'echo ENTERED; exec "$@"' sh "$@"
""".replace("ENTERED", ENTERED)
"""Mounts the layers of an image at $root, prints `ENTERED`, and becomes the command.

The process has the id 1, as in a container. The fonts of this machine are hidden, because the base image has none.
"""

_AS_USER = 'user=$1; shift; exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups --pdeathsig=KILL "$@"'
"""Becomes a command of a user. The change of the user clears the signal that `--kill-child` of unshare has set."""

_ETC = (
    *("alternatives", "default", "ld.so.conf", "ld.so.conf.d", "login.defs", "nsswitch.conf"),
    *("pam.d", "pip.conf", "ssl", "xdg/pip"),
)
"""What the base image has of this machine's /etc."""
_FOLDERS = ("dev", "home", "opt", "proc", "root", "run", "sys", "usr", "var/tmp")
_LINKS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
_FILES: Mapping[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:1::::::\n",
    "etc/gshadow": "root:*::\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}

PROGRAMS = ("ip", "mount", "nft", "nsenter", "setpriv", "unshare", "useradd")
"""Programs that containers need on this machine."""

_PROBE = "mkdir a b c root && mount -t overlay overlay -o lowerdir=a,upperdir=b,workdir=c root"

_SETTINGS_OF_PIP = ("PIP_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def refusal(store: Path) -> str | None:
    """Return why this machine cannot run containers with layers in `store`; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "containers without a Docker daemon need root on Linux"
    if missing := [name for name in PROGRAMS if program(name) is None]:
        return f"{' and '.join(missing)} not installed"
    if Path(sys.base_prefix) == Path("/usr"):
        return "the Python of the tests is in /usr: expected one beside it, as in the image python:3.13-slim"
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store) as folder:
        command = ["unshare", "--mount", "--pid", "--net", "--fork", "sh", "-ec", _PROBE]
        probe = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return f"namespaces or overlayfs: {probe.stderr.strip()}" if probe.returncode else None


def base_id() -> str:
    """Return a text that differs if the base image does."""
    return f"{sys.version} {sys.base_prefix} {platform.release()} {_ETC}{_FOLDERS}{_FILES}"


def write_base(folder: Path) -> None:
    """Write the files of the base image, without those that are mounted from this machine."""
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    for name in _LINKS:
        if (link := Path("/", name)).is_symlink():
            (folder / name).symlink_to(link.readlink())
    for name, content in _FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    for name in _ETC:
        source, target = Path("/etc", name), folder / "etc" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        elif source.exists():
            shutil.copy(source, target)


def entering(
    layers: Sequence[Path],
    changes: Path,
    root: Path,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    user: str = "root",
    folder: str = "/",
    mounts: Mapping[str, Path],
    is_read_only: bool = False,
) -> Sequence[str]:
    """Return a command that runs `command` in the layers of an image, the lowest first.

    Args:
        layers: directories with the files of the layers.
        changes: a directory for what the command changes. `changes / "files"` is then a further layer.
        root: an empty directory, at which the command mounts the layers.
        command: the words of the command.
        environment: its only variables.
        user: its user.
        folder: its working directory.
        mounts: files and directories of this machine, by their path in the container.
        is_read_only: whether the command can only write to the mounts and to /tmp.
    """
    for name in ("files", "work"):
        (changes / name).mkdir(parents=True, exist_ok=True)
    inside = inside_container(command, environment=environment, user=user, folder=folder)
    lower = ":".join(str(layer) for layer in reversed(layers))
    pairs = [str(each) for target, source in mounts.items() for each in (source, target)]
    return [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", _ENTER, "sh"),
        *(str(root), lower, str(changes), sys.base_prefix, "yes" if is_read_only else ""),
        *(*pairs, "--", *inside),
    ]


def inside_container(
    command: Sequence[str], *, environment: Mapping[str, str], user: str, folder: str
) -> Sequence[str]:
    """Return what runs `command` in a container as a user, with the only variables `environment`."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["sh", "-c", _AS_USER, "sh", user, "env", "-i", f"--chdir={folder}", *variables, *command]


def settings_of_pip() -> Mapping[str, str]:
    """Return the variables of this process that pip needs to reach a package index, as build arguments of Docker do."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(_SETTINGS_OF_PIP)}
