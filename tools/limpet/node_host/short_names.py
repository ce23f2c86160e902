"""Short names for what only our own files know: those of attributes, functions and parameters.

On a chip every name that a module brings stays in the heap for ever, once, and the table of them
doubles when it is full. So names of ours become names that MicroPython has in its ROM
(rom_names.py). What several files know has one new name, the same in all; what only one file knows
(private names, constants, most parameters) may have the same one in every file. A constant that
mpy-cross carries out costs nothing, as long as it begins with an underscore. Lines stay lines.
`originals` tells what a traceback means.

What stays: a name that a text may mean (`namedtuple("A", "x y")`, a word in quotes), that is
imported as a module, or that something has which is not ours. All files that belong together have
to come together, and must not put names together at run time.
"""

import ast
import itertools
import re
import string
import tokenize
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from limpet.node_host import spelling
from limpet.node_host.rom_names import FREE, THEIRS

_PUBLIC = re.compile(r"[A-Za-z]\w\w+")
_FUNCTIONS = (ast.FunctionDef, ast.Lambda)
# Names of the ROM for parameters, more than any function has, and for these and private ones.
_PARAMETERS, _SPARE = 12, 90

# (line from 0, first byte, length in bytes, new name)
Edit = tuple[int, int, int, str]


class Names(NamedTuple):
    """What may be given which name in a set of files.

    spoken: names that may be meant beside being parameters. kept: private ones that more than one
    file knows. alone: public ones that only one does. common: what is known to several files, and
    its new name. parameters, private: names of the ROM for what only one function or file knows.
    """

    spoken: frozenset[str]
    kept: frozenset[str]
    alone: frozenset[str]
    common: Mapping[str, str]
    parameters: tuple[str, ...]
    private: tuple[str, ...]


def of(
    sources: Iterable[str], foreign: Iterable[str] = (), others: Iterable[str] = (), said: str = ""
) -> Names:
    """Return the Names of these files.

    foreign: files whose classes they build on, and which keep their names. others: files that are
    compiled with them now and then, as a Board's: what is common to `sources` is the same with and
    without, but for names that must stay because of them. said: a text with names that must stay.
    """
    sources, others, foreign = list(sources), list(others), list(foreign)
    spoken: set[str] = set()
    asked: set[str] = set()
    known: Counter[str] = Counter()
    bound: Counter[str] = Counter()
    for source in (*sources, *others):
        tree = ast.parse(source)
        spoken |= spelling.spoken(tree)
        asked |= spelling.asked_for(tree)
        private = spelling.private(source)
        known.update(private)
        bound.update(private & spelling.bound(tree))
    kept = {name for name in known if known[name] != bound[name]} | asked
    kept |= spelling.inherited(sources)
    outside = {name for source in foreign for name in spelling.words(source)}
    outside |= set(re.findall(r"\w+", said))
    for source in foreign:
        spoken |= spelling.spoken(ast.parse(source))
    for source in others:
        tree = ast.parse(source)
        # What a keyword names may become the key of a dictionary.
        outside |= spelling.meant(tree) | spelling.keywords(tree)
    common, alone, spare = _common(sources)
    told = Counter(word for source in (*sources, *others) for word in spelling.words(source))
    here = {name for source in others for name in spelling.public(ast.parse(source))}
    here = {name for name in here if told[name] == 1 and _PUBLIC.fullmatch(name)}
    here -= outside | THEIRS | set(FREE)
    return Names(
        frozenset(spoken),
        frozenset(kept | outside),
        frozenset({name for name in alone if told[name] == 1} - outside | here),
        {
            old: new
            for old, new in common.items()
            if old not in outside and new not in outside and not _meet(old, new, sources, others)
        },
        spare[:_PARAMETERS],
        spare[_PARAMETERS:],
    )


def _meet(old: str, new: str, sources: list[str], others: list[str]) -> bool:
    """Whether one of the `others` has the new name for something that may meet the old one: in the
    same file, or in a class that builds on one of `sources`.
    """
    for source in others:
        words = spelling.words(source)
        if new in words and (old in words or spelling.builds_on(source, tuple(sources))):
            return True
    return False


def _common(sources: list[str]) -> tuple[dict[str, str], set[str], tuple[str, ...]]:
    """What several files know, with its new name; what one knows; and the names that are left."""
    trees = [ast.parse(source) for source in sources]
    known = Counter(word for source in sources for word in spelling.words(source))
    inherited = spelling.inherited(sources)
    wanted = {
        name
        for tree in trees
        for name in spelling.public(tree)
        if _PUBLIC.fullmatch(name) or name in inherited
    }
    bound = Counter(
        name
        for source, tree in zip(sources, trees, strict=True)
        for name in spelling.private(source) & spelling.bound(tree)
    )
    # Private ones that a second file knows all the same.
    wanted |= {name for name in bound if name[0] == "_" and known[name] > bound[name]}
    # A constant costs nothing while it begins with an underscore.
    wanted -= {name for name in wanted if name[0] == "_" and name.isupper()}
    wanted -= THEIRS | set(FREE) | {name for tree in trees for name in spelling.meant(tree)}
    alone = {name for name in wanted if known[name] == 1} - inherited
    # The first ones are short in a file, so they are for what is in every file.
    free = [name for name in FREE if name not in known]
    spare, left = free[:_SPARE], free[_SPARE:]
    often = sorted(wanted - alone, key=lambda name: (-known[name], name))
    return dict(zip(often, left, strict=False)), alone, tuple(spare)


def shortened(source: str, names: Names) -> str:
    """Return the text of a file with short names in it, line by line the same."""
    short = {**_short_private(source, names), **names.common}
    return edited(source, {*_token_edits(source, short), *_parameter_edits(source, names)})


def edited(source: str, edits: Iterable[Edit]) -> str:
    """Return the text of a file with `edits` made to it; one that comes twice is made once."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    for row, first, length, new in sorted(set(edits), reverse=True):
        line = lines[row]
        lines[row] = line[:first] + new.encode() + line[first + length :]
    return b"".join(lines).decode()


def originals(source: str, names: Names) -> Mapping[str, str]:
    """Return what each new name in a file stands for, but for those of parameters."""
    words = spelling.words(source)
    common = {new: old for old, new in names.common.items() if old in words}
    return common | {new: old for old, new in _short_private(source, names).items()}


def _token_edits(source: str, short: Mapping[str, str]) -> Iterator[Edit]:
    for token in spelling.tokens(source):
        if token.type == tokenize.NAME and token.string in short:
            row, column = token.start
            first = len(token.line[:column].encode())
            yield row - 1, first, len(token.string), short[token.string]


def _short_private(source: str, names: Names) -> dict[str, str]:
    taken, tree = spelling.words(source), ast.parse(source)
    constants = spelling.constants(tree)
    short = _fresh("_", taken)
    free = itertools.chain((name for name in names.private if name not in taken), short)
    private = spelling.private(source) & spelling.bound(tree) | taken & names.alone
    wanted = [name for name in sorted(private) if len(name) > 2]
    # In this order whatever is kept, so that what is common to two sets of files is the same.
    pairs = {name: next(short if name in constants else free) for name in wanted}
    gone = names.kept | names.common.keys()
    return {name: new for name, new in pairs.items() if name not in gone}


def _parameter_edits(source: str, names: Names) -> Iterator[Edit]:
    """Parameters: in a function with all that is within it, each name is one and the same thing."""
    taken = spelling.words(source)
    for function in _outermost(ast.parse(source)):
        within = list(ast.walk(function))
        wanted = sorted({node.arg for node in within if isinstance(node, ast.arg)})
        stays = names.spoken | names.common.keys() | names.alone | _rebound_by_text(within)
        free = (name for name in names.parameters if name not in taken)
        fresh = itertools.chain(free, _fresh("", taken))
        short = {
            name: next(fresh)
            for name in wanted
            if name not in stays and not name.startswith("_") and len(name) > 1
        }
        for node in within:
            name = node.arg if isinstance(node, ast.arg) else getattr(node, "id", None)
            if name in short and isinstance(node, ast.arg | ast.Name):
                yield node.lineno - 1, node.col_offset, len(name), short[name]


def _outermost(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _FUNCTIONS):
            yield node
        else:
            yield from _outermost(node)


def _rebound_by_text(nodes: Iterable[ast.AST]) -> set[str]:
    """Names in these nodes of which the tree does not tell the place."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
            found.add(node.name or "")
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
    return found


def _fresh(prefix: str, taken: Collection[str]) -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            if (name := prefix + "".join(letters)) not in taken:
                yield name
