"""Debian packages unpacked privately, below build/, without root, whatever release runs here.

apt resolves and verifies (the machine's own mirror, Debian's own key); `dpkg -x` unpacks. Nothing
is installed, no maintainer script runs, the system's apt lists and caches are not touched.
"""

import platform
import shutil
import subprocess
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from limpet.paths import BUILD, filled_once
from limpet.problem import Problem

# One suite for every machine, so that all run the same interpreter and the same broker.
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
HOST = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "unknown")
# Debian's name -> its folder of libraries, and the loader in it
LOADERS = {
    "amd64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "i386": ("i386-linux-gnu", "ld-linux.so.2"),
    "arm64": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}

CONFIG = """\
APT::Architecture "{arch}";
#clear APT::Architectures;
APT::Architectures {{ "{arch}"; }};
APT::Default-Release "";
// The folder belongs to the caller; apt's own user could not write there.
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
// Hooks that the system put there are about the system's lists.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def available(arch: str = HOST) -> bool:
    """Whether packages of `arch` can be unpacked and run here."""
    fits = arch == HOST or (arch, HOST) == ("i386", "amd64")
    tools = all(map(shutil.which, ("apt-get", "dpkg")))
    return fits and arch in LOADERS and tools and KEYRING.exists()


def mirror() -> str:
    """The Debian mirror that this machine's own apt uses, as a URL."""
    wanted = "$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", wanted], capture_output=True, text=True
    )
    for line in listed.stdout.splitlines():
        kind, component, release, *url = line.split()
        # bookworm-security and its like are other archives, which lack what we want.
        if (kind, component) == ("Packages", "main") and "-" not in release and _debian(release):
            return url[0]
    raise Problem(
        "This machine's apt knows no Debian mirror.",
        "Add one to /etc/apt/sources.list (on a derivative of Debian, install micropython "
        "1.25 or later, or name one: MICROPYTHON=/path).",
    )


def _debian(release: str) -> bool:
    """Whether `release` is one of Debian's: other archives on the machine have a `main` too."""
    names = "bullseye bookworm trixie forky duke sid oldstable stable testing unstable"
    return release in names.split()


def unpacked(package: str, arch: str = HOST) -> Path:
    """The folder that holds `package` and all that it depends on; downloads and unpacks it once."""
    folder = BUILD / "debian" / f"{package}-{SUITE}-{arch}"
    with filled_once(folder) as new:
        if new:
            _fill(new, package, arch)
    return folder


def command(root: Path, arch: str, program: str) -> list[str]:
    """How to start `program`, a path in the folder `root`: by the loader of its own C library."""
    triplet, loader = LOADERS[arch]
    libraries = root / "usr" / "lib" / triplet
    return [str(libraries / loader), "--library-path", str(libraries), str(root / program)]


def _fill(new: Path, package: str, arch: str) -> None:
    # apt's folder outlives an interruption: a download goes on where it stopped.
    apt = new.with_name(f"apt-{package}-{arch}")
    for part in ("state/lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    (apt / "apt.conf").write_text(CONFIG.format(arch=arch, folder=apt))
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"{package} for {arch}: finding it in Debian {SUITE}")
        _apt(progress, bar, apt, "update")
        progress.update(bar, description=f"{package} for {arch}: downloading")
        _apt(progress, bar, apt, "--yes", "--download-only", "install", package)
        progress.update(bar, description=f"{package} for {arch}: unpacking")
        for archive in progress.track(sorted(apt.glob("cache/archives/*.deb")), task_id=bar):
            subprocess.run(["dpkg", "-x", archive, new], check=True)
        progress.update(bar, description=f"{package} for {arch}: ready")
    shutil.rmtree(apt)


def _apt(progress: Progress, bar: TaskID, folder: Path, *words: str) -> None:
    """Run apt-get with the private configuration and show how far it is."""
    progress.reset(bar, total=100)
    line = ["apt-get", "-c", str(folder / "apt.conf"), "-qq", "-oAPT::Status-Fd=1", *words]
    errors = folder / "errors"
    with (
        open(errors, "w") as stderr,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr, text=True) as apt,
    ):
        assert apt.stdout
        for status in apt.stdout:
            if status.startswith("dlstatus:"):
                progress.update(bar, completed=float(status.split(":")[2]))
    # `update` exits with 0 when it could not reach the mirror; what it says then is a warning.
    said = [text for text in errors.read_text().splitlines() if text[:2] in ("E:", "W:")]
    if apt.returncode or (words[0] == "update" and said):
        raise Problem(
            "apt-get did not succeed: " + (said[0] if said else f"exit code {apt.returncode}"),
            "If it is the network: connect and start again, it goes on where it stopped.",
        )
