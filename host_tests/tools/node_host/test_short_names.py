"""short_names: what gets another name, what must not, and that the code means the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from limpet.boards import heap
from limpet.node_host import short_names
from limpet.node_host.bytecode import compiled, names_in
from limpet.node_host.rom_names import FREE, THEIRS
from limpet.node_host.traces import readable
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS, FIRMWARE, HOST_BOARD, LIB
from limpet.trial import probes
from support.micropython.upy import run

ONE = '''
"""A module, with _private words in its docstring."""
from micropython import const
import _thread
_LIMIT = const(3)
LEAST = const(1); MOST = 9
_shared = "é"; _later = "_shared"
class Overrun(ValueError):
    """It is named where nobody catches it."""
class Counter:
    def __init__(self, start_at, step_by=1):
        self._total = start_at
        self._step_by = step_by
        self.name = _shared
        self._held_back = 0
    def later(self):
        return self._held_back
    def _add(self, amount):
        def inner(amount_too):
            nonlocal amount
            amount += amount_too
            return amount
        self._total += inner(self._step_by)
    def add(self, amount, *others_too, **named_too):
        for each in (amount,) + others_too:
            self._add(each)
        return self._total, sorted(named_too), _later, (lambda twice_this: twice_this * 2)(_LIMIT)
def made(start_at):
    import sys as amount
    return Counter(start_at, step_by=2)
'''
TWO = """
import one
class Holder:
    def __init__(self, held):
        held._held_back = 7
def _private_here(counter_given):
    return counter_given._total
counter = one.Counter(7)
_nothing = one.Overrun
Holder(counter)
print(one.made(5).add(1, 2, three=3), _private_here(counter), counter.later(), one.MOST)
"""


def renamed(*sources: str) -> list[str]:
    """The sources with short names."""
    names = short_names.of(sources)
    return [short_names.shortened(source, names) for source in sources]


def test_renamed_code_does_the_same(tmp_path: Path) -> None:
    """Two modules with every kind of name print what they printed before."""
    said = []
    for one, two in ((ONE, TWO), tuple(renamed(ONE, TWO))):
        (tmp_path / "one.py").write_text(one)
        said.append(run(two, path=[tmp_path]))
    assert said[0] == said[1] == "(12, ['three'], '_shared', 6) 7 7 9\n"


def test_what_others_may_mean_keeps_its_name() -> None:
    """Public names, names used by another file, keywords, modules, texts and comments stay."""
    one, two = renamed(ONE, TWO)
    for name in (
        "Overrun",
        "step_by=",
        "_thread",
        "with _private words",
        '"_shared"',
    ):
        assert name in one, name
    assert "step_by=2" in one
    assert "one.Overrun" in two


def test_what_nobody_else_knows_is_short() -> None:
    """Private names, constants and parameters go; each line stays where it was."""
    one, two = renamed(ONE, TWO)
    for name in ("LEAST", "_add", "_later", "_step_by", "start_at", "others_too", "twice_this"):
        assert name not in one.replace('"_shared"', ""), name
    assert "_private_here" not in two
    assert "counter_given" not in two
    assert len(one.splitlines()) == len(ONE.splitlines())


def test_what_several_files_know_has_one_name() -> None:
    """A name of the ROM, that no file has for something else."""
    names = short_names.of([ONE, TWO])
    one, two = renamed(ONE, TWO)
    assert names.common.keys() == {"MOST", "made", "later", "_total", "_held_back"}
    assert names.common["MOST"] in FREE
    assert f"{names.common['MOST']} = 9" in one
    assert f"one.{names.common['MOST']}" in two
    assert "MOST" not in one + two
    assert not set(names.common.values()) & set(re.findall(r"\w+", ONE + TWO))


@pytest.mark.parametrize(
    "said",
    ['x = "put_by"', "T = namedtuple('T', 'a put_by')", "import put_by", "from put_by import x"],
)
def test_name_that_may_be_meant_by_a_text_or_a_module_stays(said: str) -> None:
    """In whichever file that is."""
    own = "class A:\n    def put_by(self): pass\n    def put_off(self): pass\n"
    names = short_names.of([own, said + "\nA.put_off"])
    assert "put_by" in short_names.shortened(own, names)
    assert "put_off" not in short_names.shortened(own, names)
    assert names.common.keys() == {"put_off"}


def test_name_of_what_is_not_ours_stays() -> None:
    """What a chip has under this name keeps it, as does what a text beside the files means."""
    own = "class A:\n" + "".join(
        f"    def {name}(self): pass\n" for name in ("idf_heap_info", "told", "put_off")
    )
    short = short_names.shortened(own, short_names.of([own], said="a.told()"))
    assert "idf_heap_info" in short
    assert "told" in short
    assert "put_off" not in short


def test_files_of_one_class_have_different_private_names() -> None:
    """A class that builds on another file's has the private names of both."""
    base = "class Base:\n    def __init__(self): self._one_here = 1\n"
    mine = "from a import Base\nclass Mine(Base):\n    def two(self): self._two_here = 2\n"
    names = short_names.of([base, mine])
    assert names.common.keys() == {"Base", "_one_here", "_two_here"}
    assert len(set(names.common.values())) == 3


def test_what_is_compiled_besides_changes_no_name() -> None:
    """So a traceback means the same on every Board; a name may only stay because of it."""
    board = 'class Board:\n    def abs(self): return counter.MOST, "add"\n'
    alone, beside = short_names.of([ONE, TWO]), short_names.of([ONE, TWO], others=[board])
    assert beside.common.items() <= alone.common.items()
    for source in (ONE, TWO):
        told = short_names.originals(source, alone)
        assert short_names.originals(source, beside).items() <= told.items()


def test_constant_of_two_files_is_one_where_one_asks_the_other() -> None:
    """Though each gives it to something, so that it could be each one's own."""
    board = "import table\nKINDS = table.KINDS\n_mine = 1\n"
    texts = [board, "KINDS = 3\n_mine = 2\n"]
    names = short_names.of([], others=texts)
    assert all("KINDS" in short_names.shortened(text, names) for text in texts)
    assert not any("_mine" in short_names.shortened(text, names) for text in texts)


def test_constant_that_is_carried_out_keeps_its_underscore() -> None:
    """mpy-cross leaves out what begins with one."""
    own = "_LIMIT_HERE = const(3)\n_list_here = [_LIMIT_HERE]\n"
    short = short_names.shortened(own, short_names.of([own]))
    assert short.startswith("_a = const(3)\n")
    assert short.splitlines()[1].split()[0] in FREE


def test_foreign_base_class_is_not_met() -> None:
    """A private name that umqtt has too is umqtt's: it may be what we override."""
    own = (
        "class Client(base.Client):\n"
        "    def _send_str(self): pass\n"
        "    def _other_one(self): pass\n"
    )
    names = short_names.of([own], ["class Client:\n    def _send_str(self): pass\n"])
    short = short_names.shortened(own, names)
    assert "_send_str" in short
    assert "_other_one" not in short


@pytest.mark.parametrize("source", ["lib/umqtt_tls.py", "firmware/node/session/link.py"])
def test_no_name_means_two_things(source: str) -> None:
    """In the node's own files no short name was there before, and no two became one."""
    names = names_in(FIRMWARE, LIB, HOST_BOARD, umqtt_dir())
    text = (FIRMWARE.parent / source).read_text()
    told = short_names.originals(text, names)
    before = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    before |= {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert told
    assert not told.keys() & before
    assert len(set(told.values())) == len(told)


def test_texts_run_on_a_board_mean_names_that_stay() -> None:
    """What is said to a board over the wire imports what lies there as byte code."""
    names = names_in(FIRMWARE, LIB)
    filled = (probes.COMMIT % 1, probes.CLIENT % {"link_ms": 1, "for_ms": 1}, heap.JOIN)
    trees = [ast.parse(text) for text in (*filled, probes.LOOK % {"look_ms": 1})]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    meant = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    meant |= {node.arg or "" for node in nodes if isinstance(node, ast.keyword)}
    meant |= {node.name for node in nodes if isinstance(node, ast.alias)}
    assert not meant & (names.common.keys() | names.alone)


def test_rom_has_two_kinds_of_names() -> None:
    """None that may be given away is one that something may be asked for."""
    assert not set(FREE) & THEIRS
    assert len(set(FREE)) == len(FREE)
    looked_up = {"read", "readinto", "write", "ioctl", "close", "send", "throw", "value", "args"}
    assert looked_up.isdisjoint(FREE)


def test_what_meets_in_one_object_has_different_names() -> None:
    """In the node's own files, where a class builds on another file's: the same short name must not
    stand for different things.
    """
    names = names_in(FIRMWARE, LIB)
    paths = [path for folder in (FIRMWARE, LIB) for path in folder.rglob("*.py")]
    texts = [path.read_text() for path in paths if CLIENTS not in path.parents]
    made, bases, short = {}, [], {}
    for text in texts:
        short[text] = short_names.originals(text, names).keys() - set(names.common.values())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                made[node.name] = text
                bases += [(text, ast.unparse(base).split(".")[-1]) for base in node.bases]
    pairs = [(text, made[base]) for text, base in bases if base in made and made[base] != text]
    assert all(short[one].isdisjoint(short[other]) for one, other in pairs)


def test_traceback_of_byte_code_becomes_readable() -> None:
    """A function that byte code calls by a short name has its own one again."""
    folders, _ = compiled(FIRMWARE, LIB)
    made = names_in(FIRMWARE, LIB).common["PairFile"]
    script = f"""
import sys
import pair_file  # byte code has no groups
try:
    # None is no file.
    pair_file.{made}("a", lambda path, how: how(None), None).load()
except AttributeError as error:
    sys.print_exception(error)
"""
    said = run(script, path=[*folders])
    frames = [line for line in readable(said).splitlines() if 'File "pair_file"' in line]
    source = (FIRMWARE / "node/shared/pair_file.py").read_text()
    assert [frame.rpartition("in ")[2] for frame in frames] == ["load", "_taken_apart"], said
    assert "def _taken_apart(" in source
    assert readable('File "elsewhere", line 7, in _x') == 'File "elsewhere", line 7, in _x'
