"""Debian packages unpacked privately, below build/, without root, whatever release runs here.

apt resolves and verifies (the machine's own mirror, Debian's own key); `dpkg -x` unpacks. Nothing
is installed, no maintainer script runs, the system's apt lists and caches are not touched.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from limpet.shared.filling import filled_once
from limpet.shared.known_files import CONNECT, check
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem
from limpet.shared.progress import Line, followed

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

UNPACK_S = 600
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
        ["apt-get", "indextargets", "--format", wanted],
        capture_output=True,
        text=True,
        timeout=UNPACK_S,
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


def unpacked(package: str, arch: str = HOST, suite: str = SUITE, sha256: str | None = None) -> Path:
    """The folder that holds `package` and all that it depends on; downloads and unpacks it once.

    Raises Problem, also when the package itself is another than the one of that hash.
    """
    folder = CACHE / "debian" / f"{package}-{suite}-{arch}"
    with filled_once(folder) as new:
        if new:
            _fill(new, package, arch, suite, sha256)
    return folder


def command(root: Path, arch: str, program: str) -> list[str]:
    """How to start `program`, a path in the folder `root`: by the loader of its own C library."""
    triplet, loader = LOADERS[arch]
    libraries = root / "usr" / "lib" / triplet
    return [str(libraries / loader), "--library-path", str(libraries), str(root / program)]


def system_or_unpacked(program: str, remedy: str) -> list[str]:
    """Return the start of the command line that runs the server `program`: the system's, or that of
    Debian's package of that name, unpacked. Raises Problem, with `remedy` where there is neither.
    """
    # Debian puts servers where only root's PATH looks.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(program, path=path)
    if found:
        return [found]
    if not available():
        raise Problem(f"There is no {program} here, and no Debian apt to get it from.", remedy)
    return command(unpacked(program), HOST, f"usr/sbin/{program}")


def _fill(new: Path, package: str, arch: str, suite: str, sha256: str | None) -> None:
    # apt's folder outlives an interruption: a download goes on where it stopped.
    apt = new.with_name(f"apt-{package}-{suite}-{arch}")
    for part in ("state/lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    # A mirror's index of what is not released yet may have expired; it is signed nevertheless.
    options = f"signed-by={KEYRING}" + (" check-valid-until=no" if suite != SUITE else "")
    (apt / "sources.list").write_text(f"deb [{options}] {mirror()} {suite} main\n", "utf-8")
    (apt / "apt.conf").write_text(CONFIG.format(arch=arch, folder=apt), "utf-8")
    what = f"{package} for {arch}"
    _apt(f"{what}: finding it in Debian {suite}", apt, "update")
    _apt(f"{what}: downloading", apt, "--yes", "--download-only", "install", package)
    archives = sorted(apt.glob("cache/archives/*.deb"))
    if sha256:
        [archive] = [each for each in archives if each.name.startswith(package + "_")]
        check(archive, sha256, "Debian has another version by now: name one that is here.")
    line = Line(f"{what}: unpacking")
    for done, archive in enumerate(archives):
        line.say(f"{done} of {len(archives)}")
        _unpack(archive, new)
    line.end()
    shutil.rmtree(apt)


def _unpack(archive: Path, new: Path) -> None:
    line = ["dpkg", "-x", str(archive), str(new)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=UNPACK_S)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Problem(f"dpkg did not succeed: {said[-1]}", _remedy(done.stderr))


def _apt(title: str, folder: Path, *words: str) -> None:
    """Run apt-get with the private configuration and show how far it is."""
    line = Line(title)
    words = ("-c", str(folder / "apt.conf"), "-qq", "-oAPT::Status-Fd=1", *words)

    def how_far(said: list[str]) -> str:
        shares = [text.split(":")[2] for text in said if text.startswith("dlstatus:")]
        return f"{float(shares[-1]):.0f} %" if shares else ""

    code, lines = followed(["apt-get", *words], lambda said: line.say(how_far(said)))
    line.end(how_far(lines))
    # `update` exits with 0 when it could not reach the mirror; what it says then is a warning.
    said = [text for text in lines if text[:2] in ("E:", "W:")]
    if code or ("update" in words and said):
        cause = said[0] if said else f"exit code {code}"
        raise Problem(f"apt-get did not succeed: {cause}", _remedy("\n".join(lines)))


def _remedy(said: str) -> str:
    if "No space left" in said or "enough free space" in said:
        return "Make room: a program takes 60 MB while it is unpacked. Then start again."
    return f"If it is the network: {CONNECT.lower()}, it goes on where it stopped."
