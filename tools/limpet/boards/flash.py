"""`limpet flash`: puts MicroPython and a node's file system onto a board.

Everything is looked at before anything is written: the image, the chip, its flash, and the files
that are there. A node's files are kept, with the Readings that it has not delivered; only --erase
takes them away.

A cable that is pulled leaves what can be flashed again, at whatever moment. Stock MicroPython
prints "filesystem corrupted" for ever when the first block of the file system is neither blank nor
part of a whole one. So the two superblocks are erased first and written last, the second before the
first: in between, MicroPython finds a blank flash and makes an empty file system. While MicroPython
itself is half written nothing can start: the chip's ROM, or the bootloader, says so again and
again. That cannot be helped, and does no harm.

It does not update a node's code (that is deploy), and never unlocks a chip.
"""

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from limpet.boards import files_on_chip, image_folder
from limpet.boards.board_facts import BLOCK, BoardFacts, facts, names
from limpet.boards.chip import Chip, connected
from limpet.boards.files_on_chip import Files
from limpet.boards.image import IMAGES
from limpet.boards.image_folder import ImageFolder
from limpet.boards.port import find_port
from limpet.identity.fleet_folder import FleetOption, own_boards
from limpet.shared.numbers import Baud
from limpet.shared.problem import Problem

BAUD = 460800  # what every USB bridge and a cable of a metre do


def flash(
    board: str,
    /,
    *,
    port: str | None = None,
    image: Path | None = None,
    fleet: FleetOption = None,
    baud: Baud = BAUD,
    erase: bool = False,
) -> None:
    """Put MicroPython, and the node's files if it has none yet, onto a board.

    Parameters
    ----------
    board
        A folder below the fleet's boards/, or below ours.
    port
        Serial port or URL; not needed when one board is plugged in.
    image
        The folder that `limpet image` made, instead of build/images/BOARD.
    baud
        Speed of the serial line while writing.
    erase
        Erase the node's files first, and with them the Readings that it has not delivered.
    """
    own = own_boards(fleet)
    wanted = image_folder.opened(image or IMAGES / board, board, own)
    where = find_port(port)
    console = Console(highlight=False, soft_wrap=True)
    writing = False
    try:
        with connected(where) as chip:
            _check(chip, wanted.facts, where, baud, own)
            console.print(f"{where}: {chip.title}, {wanted.facts.flash_mb} MB of flash")
            found = None if erase else _files_there(chip, wanted.facts)
            keep = found is not None and _kept(found, wanted, where)
            if found and keep:
                console.print(f"It is {found.device_id or 'a node'}; its files are kept.")
            writing = True
            _write(chip, wanted, console, keep, erase)
            started = chip.start()
    except KeyboardInterrupt:
        if not writing:
            raise Problem("Stopped before anything was written.", "Start again.") from None
        raise Problem(
            "Stopped while writing: the board does not start, or starts without its files.",
            "Start again: what is half written does no harm.",
        ) from None
    if not started:
        console.print("A socket cannot reset the board: press EN (RST).")
    if keep:
        console.print(f"Now bring its code up to date: limpet deploy {board} --port {where}")
    else:
        console.print(f"It starts as {wanted.device_id or 'a node without a config'}.")


def _check(chip: Chip, board: BoardFacts, port: str, baud: int, own: Path | None) -> None:
    """Raise Problem unless the chip is the Board's, open to us, and with as much flash."""
    if chip.name != board.chip:
        fitting = [name for name in names(own) if facts(name, own=own).chip == chip.name]
        raise Problem(
            f"The chip on {port} is an {chip.title}, and {board.name} has an {board.chip}.",
            f"Say {' or '.join(fitting)}." if fitting else "Limpet has no such board.",
        )
    chip.check_unlocked()
    flash_mb = chip.prepare(baud)
    if flash_mb is None:
        raise Problem(
            f"The flash of the board on {port} does not say how large it is.",
            "Take away what is wired to the flash's pins, and start again.",
        )
    if flash_mb != board.flash_mb:
        raise Problem(
            f"The board on {port} has {flash_mb} MB of flash, and the image is for "
            f"{board.flash_mb} MB.",
            f"Make one: limpet image {board.name} --flash {flash_mb}.",
        )


def _files_there(chip: Chip, board: BoardFacts) -> Files | None:
    return files_on_chip.look(lambda block: chip.read(board.files_offset + block * BLOCK, BLOCK))


def _kept(found: Files, wanted: ImageFolder, port: str) -> bool:
    """Whether the files on the board stay. Raises Problem when that is for the user to say."""
    if not found.of_somebody:
        return False
    erase = "To erase them, with all that was not delivered: --erase."
    if not found.of_node:
        some = ", ".join(sorted(found.names)[:5])
        raise Problem(f"The board on {port} holds files that are not a node's: {some}.", erase)
    if None not in (found.device_id, wanted.device_id) and found.device_id != wanted.device_id:
        raise Problem(
            f"The board on {port} is {found.device_id}, and the image is for {wanted.device_id}.",
            f"Make an image for {found.device_id}. {erase}",
        )
    if found.blocks != wanted.facts.files_blocks:
        raise Problem(
            f"The node on {port} has its files in {found.blocks} blocks of flash, and this "
            f"MicroPython would look for {wanted.facts.files_blocks}.",
            erase,
        )
    if wanted.micropython is None:
        raise Problem(
            f"The node on {port} keeps its files, and the image has no MicroPython to write.",
            f"Update its code: limpet deploy {wanted.facts.name}. {erase}",
        )
    return True


def _write(chip: Chip, image: ImageFolder, console: Console, keep: bool, erase: bool) -> None:
    """Write what is to be written, in the order that the module's docstring gives reasons for."""
    board = image.facts
    if not keep:
        blocks = board.files_blocks if erase else 2
        if erase:
            console.print("Erasing the node's files: up to a minute for each 4 MB of flash")
        chip.erase(board.files_offset, blocks * BLOCK)
    if image.micropython is not None:
        name = f"MicroPython {image.version}".rstrip()
        _write_all(chip, name, [(board.image_offset, image.micropython)], console)
    if not keep:
        parts = [*image.runs(), image.superblock(1), image.superblock(0)]
        _write_all(chip, "The node's files", parts, console)


def _write_all(chip: Chip, name: str, parts: list[tuple[int, bytes]], console: Console) -> None:
    """Write `parts` in this order, with a bar on a terminal, and say what was done."""
    begin = time.monotonic()
    total = sum(len(data) for _, data in parts)
    columns = (TextColumn("{task.description}"), BarColumn(), "{task.percentage:>3.0f}%")
    # Not drawn into a pipe: there, one line when it is done will do.
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task(name, total=total)
        done = 0
        for address, data in parts:

            def moved(share: float, done: int = done, size: int = len(data)) -> None:
                progress.update(bar, completed=done + share * size)

            chip.write(address, data, moved)
            done += len(data)
    took = time.monotonic() - begin
    console.print(f"{name}: {total / 1024:,.0f} KB written and verified in {took:.0f} s")
