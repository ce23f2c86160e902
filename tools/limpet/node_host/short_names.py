"""Short names for what only one file knows: private names, constants, and those of parameters.

On a chip every name that a module brings stays in the heap for ever, once, and the table of them
doubles when it is full. A private name may be the same in every file, so a few dozen of one or two
letters stand for hundreds. Lines stay lines. `originals` tells what a traceback means.

A name that another file, a string or a call by keyword may mean stays, so all files that belong
together have to come together; and it trusts them not to look names up by text.
"""

import ast
import io
import itertools
import re
import string
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

# A constant that only one file knows is as private, though a test may import it; with an underscore
# mpy-cross leaves the name out altogether.
_PRIVATE = re.compile(r"_[A-Za-z]\w*|[A-Z][A-Z0-9_]+")
_FUNCTIONS = (ast.FunctionDef, ast.Lambda)

# (line from 0, first byte, length in bytes, new name)
Edit = tuple[int, int, int, str]


class Names(NamedTuple):
    """What may not be given another name in a set of files: names that `spoken` ones have too, and
    private ones in `kept`, which more than one file knows.
    """

    spoken: frozenset[str]
    kept: frozenset[str]


def of(sources: Iterable[str], foreign: Iterable[str] = ()) -> Names:
    """Return the Names of these files. `foreign` ones, whose classes they build on, keep theirs."""
    spoken: set[str] = set()
    known: Counter[str] = Counter()
    bound: Counter[str] = Counter()
    kept: set[str] = set()
    for source in sources:
        tree = ast.parse(source)
        spoken |= _spoken(tree)
        private = _private(source)
        known.update(private)
        bound.update(private & _bound(tree))
    for source in foreign:
        kept |= _private(source)
        spoken |= _spoken(ast.parse(source))
    kept |= {name for name in known if known[name] != bound[name]}
    return Names(frozenset(spoken), frozenset(kept))


def shortened(source: str, names: Names) -> str:
    """Return the text of a file with short names in it, line by line the same."""
    return edited(source, {*_private_edits(source, names), *_parameter_edits(source, names)})


def edited(source: str, edits: Iterable[Edit]) -> str:
    """Return the text of a file with `edits` made to it; one that comes twice is made once."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    for row, first, length, new in sorted(set(edits), reverse=True):
        line = lines[row]
        lines[row] = line[:first] + new.encode() + line[first + length :]
    return b"".join(lines).decode()


def originals(source: str, names: Names) -> Mapping[str, str]:
    """Return what each short private name in a file stands for."""
    return {new: old for old, new in _short_private(source, names).items()}


def _private_edits(source: str, names: Names) -> Iterator[Edit]:
    short = _short_private(source, names)
    for token in _tokens(source):
        if token.type == tokenize.NAME and token.string in short:
            row, column = token.start
            first = len(token.line[:column].encode())
            yield row - 1, first, len(token.string), short[token.string]


def _short_private(source: str, names: Names) -> dict[str, str]:
    taken = {token.string for token in _tokens(source)}
    fresh = (name for name in _letters("_") if name not in taken)
    wanted = _private(source) & _bound(ast.parse(source))
    return {name: next(fresh) for name in sorted(wanted - names.kept) if len(name) > 2}


def _parameter_edits(source: str, names: Names) -> Iterator[Edit]:
    """Parameters: in a function with all that is within it, each name is one and the same thing."""
    taken = {token.string for token in _tokens(source)}
    for function in _outermost(ast.parse(source)):
        within = list(ast.walk(function))
        wanted = sorted({node.arg for node in within if isinstance(node, ast.arg)})
        rebound = _rebound_by_text(within)
        fresh = (name for name in _letters("") if name not in taken)
        short = {
            name: next(fresh)
            for name in wanted
            if name not in names.spoken | rebound and not name.startswith("_") and len(name) > 1
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


def _spoken(tree: ast.AST) -> set[str]:
    """Names that are names beside being parameters, or that a text may mean."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.update((node.asname or node.name).split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    for node in ast.iter_child_nodes(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        found.update(name.id for name in targets if isinstance(name, ast.Name))
    return found


def _private(source: str) -> set[str]:
    """Private names in a file, wherever they stand."""
    names = {token.string for token in _tokens(source) if token.type == tokenize.NAME}
    return {name for name in names if _PRIVATE.fullmatch(name)}


def _bound(tree: ast.AST) -> set[str]:
    """Names that a file itself gives to something."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            # Of another object it may be another file's name.
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias) and node.asname:
            found.add(node.asname)
    return found


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(source).readline)


def _letters(prefix: str) -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield prefix + "".join(letters)
