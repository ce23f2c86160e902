// A line of a few points, without axes: how the first field went. In SVG, so that it takes its colour from CSS.

import { mark, svg } from "./dom.js";

const WIDTH = 100;
const HEIGHT = 30;
const GAP = 3.5;

export function spark() {
    return svg(
        "svg",
        { viewBox: `0 -2 ${WIDTH} ${HEIGHT + 4}`, preserveAspectRatio: "none", class: "spark", "aria-hidden": "true", focusable: "false" },
        svg("path", { class: "area" }), svg("path", { class: "line", "vector-effect": "non-scaling-stroke" }),
    );
}

/** The paths of points [[t, v], …]: the line, and the area below it; broken where values are missing. Pure. */
export function paths(points) {
    const good = points.filter(([, value]) => typeof value === "number" && Number.isFinite(value));
    if (good.length < 2) return { line: "", area: "" };
    const steps = good.slice(1).map(([t], index) => t - good[index][0]).sort((a, b) => a - b);
    const gap = GAP * steps[steps.length >> 1];
    const [from, to] = [good[0][0], good.at(-1)[0]];
    let [low, high] = [Infinity, -Infinity];
    for (const [, value] of good) {
        low = Math.min(low, value);
        high = Math.max(high, value);
    }
    const x = (t) => ((t - from) / (to - from || 1)) * WIDTH;
    const y = (value) => HEIGHT - (high - low > 0 ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5) * HEIGHT;
    let line = "";
    let area = "";
    let begun = 0;
    for (const [index, [t, value]] of good.entries()) {
        const broken = index === 0 || t - good[index - 1][0] > gap;
        if (broken && index) area += `V${HEIGHT + 2}H${begun}Z`;
        if (broken) begun = x(t).toFixed(1);
        line += `${broken ? "M" : "L"}${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
        area += broken ? `M${begun} ${HEIGHT + 2}V${y(value).toFixed(1)}` : `L${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
    }
    return { line, area: `${area}V${HEIGHT + 2}H${begun}Z` };
}

export function drawSpark(element, points) {
    const { line, area } = paths(points ?? []);
    mark(element.firstChild, "d", area);
    mark(element.lastChild, "d", line);
}
