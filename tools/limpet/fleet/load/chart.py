"""A line chart as SVG: one value over time. Pure, and made for light and dark pages alike."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 720, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 28, 24
# More points than pixels say nothing more.
_MOST = 600
_STYLE = (
    "text{font:12px sans-serif;fill:#808080}"
    ".line{fill:none;stroke:#2f81f7;stroke-width:1.5}"
    ".grid{stroke:#808080;stroke-opacity:.35}"
    ".mark{stroke:#d9822b;stroke-dasharray:4 3}"
)


def line(
    title: str, points: Sequence[tuple[float, float]], marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Return the chart of (seconds, value). marks: moments that have a name."""
    kept = _thinned(points)
    last = max((at for at, _ in kept), default=0) or 1.0
    top = _round_up(max((value for _, value in kept), default=0))

    def x(at: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * at / last

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="16">{escape(title)}</text>',
    ]
    for value in (0.0, top / 2, top):
        at = f'{y(value):.1f}"'
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at} y2="{at}/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.6g}</text>'
        )
    for moment in (0.0, last / 2, last):
        end = "start" if moment == 0 else "end" if moment == last else "middle"
        parts.append(
            f'<text x="{x(moment):.1f}" y="{HEIGHT - 6}" text-anchor="{end}">{moment:.0f} s</text>'
        )
    for moment, name in marks:
        at = f'{x(moment):.1f}"'
        parts.append(
            f'<line class="mark" x1="{at} x2="{at} y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<text x="{x(moment) + 4:.1f}" y="{_TOP + 12}">{escape(name)}</text>'
        )
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in kept)
    return "\n".join([*parts, f'<polyline class="line" points="{path}"/>', "</svg>", ""])


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of many points the highest of each stretch: it is peaks that are looked for."""
    step = max(len(points) // _MOST, 1)
    return [
        max(points[begin : begin + step], key=lambda point: point[1])
        for begin in range(0, len(points), step)
    ]


def _round_up(value: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value)))
    return next(power * each for each in (0.1, 0.2, 0.5, 1.0) if power * each >= value)
