"""Whether the broker works, and how near its limits it is. Pure."""

from collections.abc import Iterator

from limpet.brokers import capacity
from limpet.doctor.facts import Facts
from limpet.doctor.figures import judged
from limpet.doctor.finding import Finding
from limpet.doctor.live import parsed

_FULL = 0.9


def down(facts: Facts) -> Iterator[Finding]:
    """A step of `limpet health` fails."""
    if facts.seen and facts.seen.failed:
        step, problem = facts.seen.failed
        yield Finding(
            "critical",
            f"The broker fails at the step {step}: {problem.cause}",
            "No operator gets through, and probably no device: they keep their Readings.",
            problem.remedy,
        )


def figures(facts: Facts) -> Iterator[Finding]:
    """What it says of itself is near a limit."""
    if facts.seen is None:
        return
    for each in judged(parsed.of_sys(facts.seen.said), facts.limits):
        if each.level != "ok":
            critical = "" if each.critical is None else f"; {each.critical:,.4g} is critical"
            yield Finding(
                each.level,
                f"The broker says: {each.words()}.",
                f"{each.warning:,.4g} is the first level at which to look{critical}.",
                each.remedy,
            )


def files(facts: Facts) -> Iterator[Finding]:
    """The broker's process may not open as many files as the fleet needs: one a connection."""
    process, limits = facts.process, facts.limits
    if process is None:
        return
    least = limits.connections + capacity.OWN_FILES
    said = f"The broker's process, {process.pid}, may open {process.most:,} files"
    remedy = (
        f"LimitNOFILE={limits.open_files} in its systemd unit, or `ulimit -n {limits.open_files}`."
    )
    if process.files >= _FULL * process.most:
        means = "At the limit nobody gets in, and what it writes to its disk fails."
        yield Finding("critical", f"{said}, and has {process.files:,} open.", means, remedy)
    elif process.most < least:
        means = "When all devices come at once, some are refused."
        yield Finding("warning", f"{said}; this fleet needs {least:,}.", means, remedy)
