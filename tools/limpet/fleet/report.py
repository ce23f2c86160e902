"""What a command did, in words for a person, or as one JSON value for a program."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print it as JSON.")]
Yes = Annotated[bool, Parameter(negative=(), help="Do not ask.")]


@contextlib.contextmanager
def reported(as_json: bool) -> Iterator[dict[str, Any]]:
    """Yield a dict to be filled, which is printed behind the block, if it is to be JSON; what the
    block prints goes to standard error then.
    """
    said: dict[str, Any] = {}
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield said
    if as_json:
        print(json.dumps(said, indent=2))
