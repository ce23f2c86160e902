"""Which names stand in a source, and what may be meant by them. See short_names.py."""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

# A constant that only one file knows is as private, though a test may import it; with an underscore
# mpy-cross leaves the name out altogether.
PRIVATE = re.compile(r"_[A-Za-z]\w*|[A-Z][A-Z0-9_]+")
# A text that could be one name or several, as a namedtuple takes them.
_NAMES = re.compile(r"\w+(?:[ ,]+\w+)*")


def spoken(tree: ast.AST) -> set[str]:
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


def meant(tree: ast.AST) -> set[str]:
    """Names that a text may mean, and those of modules."""
    found: set[str] = set()
    remarks = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            found.update((node.module or "").split("."))
        elif isinstance(node, ast.Assign):
            found.update(_listed(node.value))
        elif isinstance(node, ast.Call) and "namedtuple" in ast.unparse(node.func):
            found.update(name for each in node.args for name in _listed(each))
        elif isinstance(node, ast.Constant) and id(node) not in remarks:
            found.update([str(node.value)] if str(node.value).isidentifier() else [])
    return found


def _listed(node: ast.AST) -> list[str]:
    """Several names in one text: a namedtuple's, or such as somebody takes apart."""
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text.replace(",", " ").split() if _NAMES.fullmatch(text) else []


def asked_for(tree: ast.AST) -> set[str]:
    """Constants that are asked of something else: the same name here and there is one thing."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.isupper()
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


def keywords(tree: ast.AST) -> set[str]:
    """Names by which arguments are handed over."""
    return {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}


def public(tree: ast.AST) -> Iterator[str]:
    """Names by which an object is known outside the function that makes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
            # What is raised has its name in tracebacks.
            if not any(base.endswith(("Error", "Exception")) for base in bases):
                yield node.name
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                for target in statement.targets if isinstance(statement, ast.Assign) else ():
                    yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def private(source: str) -> set[str]:
    """Private names in a file, wherever they stand."""
    return {name for name in words(source) if PRIVATE.fullmatch(name)}


def bound(tree: ast.AST) -> set[str]:
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


def inherited(sources: Iterable[str]) -> set[str]:
    """Private names in files of which a class builds on another file's: they may meet in one."""
    files: list[tuple[set[str], set[str], set[str]]] = []
    for source in sources:
        tree = ast.parse(source)
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        bases = {ast.unparse(base).split(".")[-1] for node in classes for base in node.bases}
        files.append(({node.name for node in classes}, bases, private(source) & bound(tree)))
    found: set[str] = set()
    for classes_here, bases, mine in files:
        for classes_there, _, theirs in files:
            if classes_here is not classes_there and bases & classes_there - classes_here:
                found |= mine | theirs
    return found


def constants(tree: ast.AST) -> set[str]:
    """Names that mpy-cross leaves out, as long as they begin with an underscore."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "const"
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@functools.cache
def builds_on(source: str, others: tuple[str, ...]) -> bool:
    """Whether a class of a file builds on one of another."""
    return bool(_bases(source) & {name for each in others for name in _classes(each)})


@functools.cache
def _classes(source: str) -> frozenset[str]:
    tree = ast.parse(source)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@functools.cache
def _bases(source: str) -> frozenset[str]:
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return frozenset(ast.unparse(base).split(".")[-1] for node in classes for base in node.bases)


@functools.cache
def words(source: str) -> frozenset[str]:
    """All names in a file."""
    return frozenset(token.string for token in tokens(source) if token.type == tokenize.NAME)


def tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """All of a file's tokens."""
    return tokenize.generate_tokens(io.StringIO(source).readline)
