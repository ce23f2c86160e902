"""One way to get a file: from where, checked by its hash before anything is done with it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.shared import installing, progress, transports
from limpet.shared.fetching import fetched, unpack
from limpet.shared.filling import filled_once
from limpet.shared.known_files import INDEX, NPM, File, check
from limpet.shared.problem import Problem
from support.web_site import Site
from support.web_site import site as open_site

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that has nothing yet, and a pip that is told nothing."""
    monkeypatch.setattr(installing, "settings", lambda _: {})
    with open_site(monkeypatch) as made:
        yield made


def on(site: Site, size: int = len(CONTENT)) -> File:
    """The file of a table that a site has."""
    return File("a thing", site.url("files/"), "a-1.bin", size, SHA256, instead="name one: A=/path")


def test_file_of_a_site(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes whole, under its own name, and it is said how far it is."""
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    site.pages["/files/a-1.bin"] = CONTENT
    assert fetched(on(site), tmp_path).read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["a-1.bin"]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "limpet: Getting a thing"
    assert "limpet: Getting a thing: 100 %" in said


@pytest.mark.parametrize("breaks", [transports.TRIES - 1, transports.TRIES])
def test_broken_connection_is_tried_again(site: Site, tmp_path: Path, breaks: int) -> None:
    """Some times, from the start; then it is said, with what to do instead."""
    site.pages["/files/a-1.bin"] = CONTENT
    site.breaks = breaks
    if breaks < transports.TRIES:
        assert fetched(on(site), tmp_path).read_bytes() == CONTENT
        return
    with pytest.raises(Problem, match="a thing could not be had") as problem:
        fetched(on(site), tmp_path)
    assert problem.value.remedy == (
        "Connect and start again, or name one: A=/path. Only this first time needs a network."
    )


@pytest.mark.parametrize("bound", ["LIMIT_S", "SILENCE_S"])
def test_site_that_stalls(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Neither a server that says nothing nor one that drips is waited for for ever."""
    site.pages["/files/a-1.bin"] = CONTENT
    site.stalls = True
    monkeypatch.setattr(transports, "SILENCE_S", (10.0, 0.2))
    if bound == "LIMIT_S":
        # As if the clock had run on behind each piece.
        monkeypatch.setattr(transports, "LIMIT_S", 0.0)
    with pytest.raises(Problem, match="a thing could not be had"):
        fetched(on(site), tmp_path)
    assert len(site.asked) == (1 if bound == "LIMIT_S" else transports.TRIES)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html>", CONTENT[:-1] + b"x", CONTENT * 100])
def test_another_file_is_refused(site: Site, tmp_path: Path, page: bytes) -> None:
    """A page of excuses or one other byte: it is not kept. Of what is too long most is not read."""
    site.pages["/files/a-1.bin"] = page
    with pytest.raises(Problem, match=r"a-1\.bin is not the one known: its SHA-256 is") as problem:
        fetched(on(site), tmp_path)
    assert problem.value.remedy.startswith("Do not use it")
    assert os.listdir(tmp_path) == []


def fill(file: File, folder: Path) -> None:
    """Put a file into a folder that is there when it is whole."""
    with filled_once(folder) as new:
        assert new
        fetched(file, new)


def test_site_that_lacks_it(site: Site, tmp_path: Path) -> None:
    """What the site says is passed on, once, without the address: an index's may hold a password.

    Nothing half made stays where the file was wanted for a folder.
    """
    with pytest.raises(Problem, match=r"a thing could not be had \(404 Not Found\)\.") as problem:
        fill(on(site), tmp_path / "it")
    assert "127.0.0.1" not in problem.value.cause + problem.value.remedy
    assert len(site.asked) == 1
    assert not (tmp_path / "it").exists()


def test_no_network(site: Site, tmp_path: Path) -> None:
    """Where nobody answers, that is said."""
    file = on(site)
    site.server_close()
    with pytest.raises(Problem, match=r"could not be had \(ConnectionError\)"):
        fetched(file, tmp_path)


def test_no_room(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is called one, and not a network."""
    site.pages["/files/a-1.bin"] = CONTENT

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transports, "_try", full)
    with pytest.raises(Problem, match="No space left") as problem:
        fill(on(site), tmp_path / "it")
    assert problem.value.remedy.startswith("Make room")


def test_any_index_of_pips(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All indexes that pip knows are asked, one that cannot be read included; the file is one's."""
    found = {"index-url": site.url("first"), "extra-index-url": ""}
    monkeypatch.setattr(installing, "settings", lambda _: found)
    name = "my-thing-1.3.tar.gz"
    site.pages = {f"/{name}": CONTENT}
    site.pages["/second/my-thing/"] = f'<a href="/{name}">{name}</a>'.encode()
    found["extra-index-url"] = f"file:///no/simple {site.url('second')}"
    file = File("my thing", INDEX, name, len(CONTENT), SHA256, "my.thing", "1.3", "name one: A=/a")
    assert fetched(file, tmp_path).read_bytes() == CONTENT
    assert site.asked[0].startswith("/first/my-thing")
    other = File("another", INDEX, "b-1.tar.gz", 1, SHA256, "b", "1")
    with pytest.raises(Problem, match="another could not be had") as problem:
        fetched(other, tmp_path)
    assert "network" in problem.value.remedy
    found["extra-index-url"] = ""
    with pytest.raises(Problem, match=r"index has no my-thing-1\.3\.tar\.gz") as problem:
        fetched(file, tmp_path)
    assert problem.value.remedy == "Tell pip of one that has it, or name one: A=/a."


def test_folders_and_uvs_index(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in a folder that pip is told of is taken from there, without any index where it
    shall ask none; one that uv was told of stands in where pip was told of none.
    """
    name = "my-thing-1.3.tar.gz"
    file = File("my thing", INDEX, name, len(CONTENT), SHA256, "my.thing", "1.3")
    (tmp_path / "links").mkdir()
    found = {"find-links": f"/no/folder {tmp_path / 'links'}", "no-index": "1"}
    monkeypatch.setattr(installing, "settings", lambda _: found)
    with pytest.raises(Problem, match="The package index has no"):
        fetched(file, tmp_path)
    (tmp_path / "links" / name).write_bytes(CONTENT)
    assert fetched(file, tmp_path).read_bytes() == CONTENT
    (tmp_path / "links" / name).write_bytes(b"another")
    with pytest.raises(Problem, match="not the one known"):
        fetched(file, tmp_path)
    assert site.asked == []
    monkeypatch.setattr(installing, "settings", lambda _: {})
    monkeypatch.setenv("UV_DEFAULT_INDEX", site.url("uvs"))
    site.pages = {f"/{name}": CONTENT, "/uvs/my-thing/": f'<a href="/{name}">{name}</a>'.encode()}
    assert fetched(file, tmp_path).read_bytes() == CONTENT


def test_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """npm gets it by itself; what it says when it does not is passed on."""
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "packed").write_bytes(CONTENT)
    (tmp_path / "into").mkdir()
    file = File("a thing", NPM, "a-b-1.tgz", len(CONTENT), SHA256, "@a/b", "1")

    def says(script: str) -> None:
        npm.write_text("#!/bin/sh\n" + script)
        npm.chmod(0o755)

    says("echo no network >&2; exit 1")
    with pytest.raises(Problem, match="npm did not succeed: no network"):
        fetched(file, tmp_path / "into")
    says(f'echo "$@" >{tmp_path}/asked; /bin/cat {tmp_path}/packed >a-b-1.tgz')
    assert fetched(file, tmp_path / "into").read_bytes() == CONTENT
    assert (tmp_path / "asked").read_text() == "pack --silent --ignore-scripts @a/b@1\n"


def test_changed_archive_is_refused(tmp_path: Path) -> None:
    """One with another hash is refused before it is opened."""
    (tmp_path / "a.tar.gz").write_bytes(b"not even an archive")
    with pytest.raises(Problem, match="not the one known"):
        check(tmp_path / "a.tar.gz", SHA256)
    assert os.listdir(tmp_path) == []


def tar(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """Write a tar.gz of files, or of dangling links where there is no content."""
    with tarfile.open(path, "w:gz") as made:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o4777
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "nowhere.py"
            else:
                member.size = len(content)
            made.addfile(member, io.BytesIO(content or b""))
    return path


def zipped(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """Write a zip of files, or of folders where there is no content."""
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members:
            made.writestr(name + ("/" if content is None else ""), content or b"")
    return path


@pytest.mark.parametrize("pack", [tar, zipped])
def test_files_alone_are_unpacked(tmp_path: Path, pack: Callable[..., Path]) -> None:
    """No link, no folder of its own, no mode; and the archive goes."""
    (tmp_path / "into").mkdir()
    archive = pack(tmp_path / "into" / "a.tgz", ("p/a.py", b"a"), ("p/b", None), ("p/c/d", b"d"))
    assert unpack(archive, tmp_path / "into") == ["p/a.py", "p/c/d"]
    found = [path for path in (tmp_path / "into").rglob("*") if not path.is_dir()]
    assert {path.name: path.read_bytes() for path in found} == {"a.py": b"a", "d": b"d"}
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o7111 for path in found)


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("name", ["../evil.py", "p/../../evil.py", "{}/evil.py"])
def test_nothing_is_unpacked_elsewhere(
    tmp_path: Path, pack: Callable[..., Path], name: str
) -> None:
    """An archive that leads out of the folder is refused."""
    (tmp_path / "into").mkdir()
    archive = pack(tmp_path / "a.tgz", (name.format(tmp_path), b"no"))
    with pytest.raises(Problem, match="leads elsewhere"):
        unpack(archive, tmp_path / "into")
    assert sorted(os.listdir(tmp_path)) == ["a.tgz", "into"]
    assert os.listdir(tmp_path / "into") == []
