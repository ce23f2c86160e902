"""`limpet bench`: what the node costs and how fast it is, beside its peers, in one run.

One module per kind of figure. What is a count, `make test` holds; nothing is asserted here.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

__all__ = ["bench"]


def bench(
    *,
    only: Annotated[list[str] | None, Parameter(negative=())] = None,
    against: str | None = None,
) -> int:
    """Measure speed, bytes, heap and instructions beside umqtt's, and write docs/benchmarks.md.

    What was measured is kept until a run is complete: after Ctrl-C the next one goes on.

    Parameters
    ----------
    only
        Take this figure alone, afresh, and write nothing. Can be repeated.
    against
        Measure the node of an earlier commit, too.
    """
    from limpet_bench.session import measure  # imports what most starts do not need

    return measure(only or [], against)
