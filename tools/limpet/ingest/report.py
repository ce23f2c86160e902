"""`limpet ingest --report`: what the store holds of each device, what is missing, and what was
rejected.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from limpet.ingest.intake import REASONS
from limpet.ingest.reader import Gap, Reader
from limpet.shared import ending
from limpet.shared.plain import clock, plural, safe

# Of what is missing so many lines, for a person; --json has all.
MAX_GAPS = 50


def report(reader: Reader, store: str, as_json: bool) -> None:
    """Print it. store: how the store is called."""
    devices, gaps, tally = reader.devices(), reader.gaps(), reader.tally()
    if as_json:
        said: dict[str, Any] = {
            "store": store,
            "devices": [each._asdict() for each in devices],
            "gaps": [each._asdict() for each in gaps],
            "rejected": [
                {"reason": reason, "device": device or None, "count": n, "last": last}
                for reason, device, n, last in tally
            ],
        }
        json.dump(said, sys.stdout, indent=2)
        print()
        return
    print(f"store  {store}")
    width = max((len(each.name) for each in devices), default=0)
    for each in devices:
        if ending.lost():
            return
        words = f"{plural(each.readings, 'Reading')} of {plural(each.boots, 'boot')}"
        lacking = f", {each.missing:,} missing" if each.missing else ""
        until = f", the last {clock(each.last)}" if each.last else ""
        print(f"{each.name:{width}}  {words}{lacking}{until}")
    if not devices:
        print("no device has said anything yet")
    for gap in gaps[:MAX_GAPS]:
        print(_gap(gap))
    if len(gaps) > MAX_GAPS:
        print(f"and {plural(len(gaps) - MAX_GAPS, 'more gap')}: --json has them all")
    for reason, device, n, last in tally:
        who = f" of {safe(device)}" if device else ""
        meaning = REASONS.get(reason, "known to another version")
        print(f"rejected  {n:,} {reason}{who}, the last {clock(last)}: {meaning}")


def _gap(gap: Gap) -> str:
    count = gap.last - gap.first + 1
    seqs = f"seq {gap.first} to {gap.last}" if count > 1 else f"seq {gap.first}"
    between = f"{clock(gap.after) or '?'} and {clock(gap.before) or '?'}"
    return f"missing   {count:,} of {gap.device}, boot {gap.boot}, {seqs}: between {between}"
