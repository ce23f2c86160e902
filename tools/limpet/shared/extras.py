"""Python packages that are not there, and what brings them.

What only some users need, and is heavy, is an extra of pyproject.toml. Its packages are imported in
the function that uses them, so that the rest of limpet, `--help` included, does without.
"""

from limpet.shared.problem import Problem

# The extra that brings a package, by the name under which that is imported.
EXTRAS: dict[str, str] = {
    "psycopg": "postgres",
    "duckdb": "parquet",
    "prometheus_client": "metrics",
    "starlette": "page",
    "uvicorn": "page",
    "websockets": "page",
    "argon2": "page",
    "uvloop": "load",
}
_OURS = {"limpet", "limpet_bench", "node"}


def installing(extra: str) -> str:
    """Return what brings an extra, in words. No package index has a limpet: it is from a clone."""
    return f"in the clone that limpet is from, pipx install --force '.[{extra}]'"


def missing(error: ImportError) -> Problem | None:
    """Return what to do about an import that failed; None where no package of others' is missing,
    which is a bug.
    """
    cause: BaseException | None = error
    while cause and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__
    package = str(cause.name).partition(".")[0] if isinstance(cause, ModuleNotFoundError) else ""
    if not package or package in _OURS:
        return None
    if extra := EXTRAS.get(package):
        return Problem(
            f"There is no Python package {package} here: it comes with limpet[{extra}].",
            f"Install that: {installing(extra)}, or the like by uv or pip.",
        )
    return Problem(
        f"There is no Python package {package} here, which limpet needs.",
        "Install limpet again, with all that it needs.",
    )
