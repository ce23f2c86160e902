// A chart of one field, by uPlot: line, band from least to most, late Readings, and gaps that stay gaps.

import { el, mark, say } from "./dom.js";
import { moment, number, plural, quantity, span, words } from "./format.js";
import { now } from "./state.js";

const { uPlot } = globalThis;
const AXIS = 54;
// Which colours fields have, in their order; see node.css.
const HUES = 4;

/** Colours as the style sheet has them now: a canvas takes no variables. */
export function colours() {
    const probe = document.createElement("span");
    document.body.append(probe);
    const found = {};
    for (const name of ["ink", "soft", "line", "late", "gap", "card", ...Array.from({ length: HUES }, (_, hue) => `hue-${hue}`)]) {
        probe.style.color = `var(--${name})`;
        found[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    return found;
}

function faint(colour, share) {
    const [r, g, b] = colour.match(/[\d.]+/g);
    return `rgba(${r}, ${g}, ${b}, ${share})`;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000];

function times(chart, splits) {
    const range = chart.scales.x.max - chart.scales.x.min;
    const step = splits.length > 1 ? splits[1] - splits[0] : 0;
    return splits.map((each) => {
        const date = new Date(each * 1000);
        const two = (value) => String(value).padStart(2, "0");
        const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
        const date2 = `${date.getDate()} ${date.toLocaleDateString("en", { month: "short" })}`;
        if (range > 4 * 86400) return step < 86400 && clock !== "00:00" ? clock : date2;
        if (range > 18 * 3600 && clock === "00:00") return date2;
        return step % 60 ? `${clock}:${two(date.getSeconds())}` : clock;
    });
}

export class Chart {
    /** field: its name; unit; hue: which colour; height: px; onzoom(from, to): a stretch was chosen; small: a small multiple;
        gaps(): stretches [from, to, text] that are hatched; format(value): as text; axis: the least step of the values'
        axis and its unit, by the greatest value, see WHOLE. */
    constructor({ field, unit, hue, height, onzoom, small = false, gaps = () => [], format = null, axis = null }) {
        Object.assign(this, { field, unit, hue: hue % HUES, height, onzoom, small, gaps, axis });
        this.format = format ?? ((value) => quantity(value, unit));
        this.name = words(field);
        this.now = el("b", { class: "chart-now", text: "–" });
        this.at = el("span", { class: "chart-at" });
        this.range = el("span", { class: "chart-range" });
        this.place = el("div", { class: "chart-place", role: "img", "aria-label": this.name });
        this.element = el(
            "figure", { class: `chart hue-${this.hue} ${small ? "small" : ""}` },
            el("figcaption", {}, el("span", { class: "chart-name", text: this.name }), this.now, this.at, this.range), this.place,
        );
        this.columns = [[], [], [], [], []];
        this.limits = [now() - 900, now()];
        this.sized = new ResizeObserver(() => this.resize());
        this.sized.observe(this.place);
    }

    resize() {
        const width = this.place.clientWidth;
        if (width < 40) return;
        if (!this.plot) this.make();
        else if (width !== this.plot.width) this.plot.setSize({ width, height: this.height });
    }

    make() {
        const paint = colours();
        this.paint = paint;
        const line = paint[`hue-${this.hue}`];
        const size = (_, values) => Math.max(this.small ? 36 : AXIS, 14 + 7.2 * Math.max(0, ...(values ?? []).map((each) => each.length)));
        this.plot = new uPlot({
            width: this.place.clientWidth,
            height: this.height,
            legend: { show: false },
            padding: [8, this.small ? 24 : 34, 0, 0], // half of a time with its seconds
            cursor: {
                y: false, drag: { x: !this.small, y: false, setScale: false, dist: 6 }, points: { size: 7, width: 2 },
                sync: { key: "limpet", scales: ["x", null] }, hover: { skip: [null, undefined] },
            },
            scales: { x: { time: true, range: () => this.limits }, y: { range: (_, low, high) => room(low, high, this.small) } },
            axes: [
                { stroke: paint.soft, grid: { stroke: paint.line, width: 1 }, ticks: { show: false }, font: font(), size: 26, gap: 4, incrs: STEPS, space: 62, values: times },
                { stroke: paint.soft, grid: { stroke: paint.line, width: 1 }, ticks: { show: false }, font: font(), size, gap: 5, space: this.small ? 26 : 34,
                    ...(this.axis && { incrs: (_, axis, low, high) => steps(this.axis(high)) }),
                    values: (_, splits) => splits.map((each) => this.tick(each, splits)) },
            ],
            series: [
                {},
                { stroke: "transparent", points: { show: false } },
                { stroke: "transparent", points: { show: false } },
                { stroke: line, width: 1.75, fill: this.small ? faint(line, 0.1) : undefined, points: { show: lonely, size: 4, fill: line } },
                { stroke: paint.late, width: 2.25, points: { show: true, size: 6.5, fill: paint.card, stroke: paint.late, width: 1.75, space: 0 } },
            ],
            bands: [{ series: [2, 1], fill: faint(line, 0.18) }],
            hooks: {
                drawClear: [(chart) => this.hatch(chart)],
                draw: [(chart) => this.label(chart)],
                setCursor: [(chart) => this.pointed(chart)],
                setSelect: [(chart) => this.chosen(chart)],
            },
        }, this.columns, this.place);
        this.plot.over.addEventListener("dblclick", () => this.onzoom?.(null));
    }

    tick(value, splits) {
        if (value === null) return "";
        const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
        const size = Math.max(...splits.map(Math.abs));
        if (this.axis) {
            const { one, name } = this.axis(size);
            return `${(value / one).toFixed(digits(Number((step / one).toPrecision(3))))}${name && `\u00a0${name}`}`.replace("-", "−");
        }
        if (size >= 1e6) return value.toExponential(Math.min(6, Math.max(1, Math.ceil(Math.log10(size / step))))).replace("+", "").replace(/\.?0*e/, "e");
        if (size >= 10000) return `${(value / 1000).toFixed(digits(step / 1000))}k`.replace("-", "−");
        return value.toFixed(digits(step)).replace("-", "−");
    }

    /** Show these columns between two times. wide: there is a band to show. */
    set(columns, limits, wide = false) {
        this.columns = wide ? columns : [columns[0], blank(columns[0]), blank(columns[0]), columns[3], columns[4]];
        this.limits = limits;
        this.wide = wide;
        this.describe();
        if (!this.plot) {
            this.resize();
            return;
        }
        // Out of sight nothing is drawn; it is when it comes into sight.
        this.plot.setData(this.columns, true);
    }

    describe() {
        const [ts, least, most, values, late] = this.columns;
        let [low, high, last, count] = [Infinity, -Infinity, null, 0];
        for (const [index, value] of values.entries()) {
            if (value === null || ts[index] < this.limits[0]) continue;
            low = Math.min(low, least[index] ?? value);
            high = Math.max(high, most[index] ?? value);
            last = value;
            if (late[index] !== null) count += 1;
        }
        say(this.now, last === null ? "–" : this.format(last));
        say(this.range, last === null ? "" : `${this.format(low)} to ${this.format(high)}`);
        const text = last === null
            ? `${this.name}: nothing in this stretch`
            : `${this.name}: ${this.format(last)} last, ${this.format(low)} to ${this.format(high)} in ${span(this.limits[1] - this.limits[0])}`;
        const gaps = this.gaps().filter(([from, to]) => to > this.limits[0] && from < this.limits[1]).length;
        const more = [gaps && plural(gaps, "gap"), count && `${count} came late`].filter(Boolean);
        mark(this.place, "aria-label", [text, ...more].join(", "));
    }

    /** What the pointer is at: time and value take the place of the extremes. */
    pointed(chart) {
        const index = chart.cursor.idx;
        const inside = chart.cursor.left >= 0 && index !== null && index !== undefined;
        const value = inside ? chart.data[3][index] : null;
        const late = inside && chart.data[4][index] !== null && chart.data[4][index] !== undefined;
        this.element.classList.toggle("pointed", inside);
        say(this.at, inside ? `${value === null || value === undefined ? "nothing" : this.format(value)} at ${moment(chart.data[0][index], now())}${late ? ", came late" : ""}` : "");
    }

    chosen(chart) {
        const { left, width } = chart.select;
        if (width < 6) return;
        const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
        chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        this.onzoom?.([from, to]);
    }

    /** Stretches without Readings, hatched behind the line, with words where there is room. */
    hatch(chart) {
        const { ctx, bbox } = chart;
        const scale = uPlot.pxRatio;
        for (const [from, to, text] of this.gaps()) {
            const left = Math.max(chart.valToPos(from, "x", true), bbox.left);
            const right = Math.min(chart.valToPos(to, "x", true), bbox.left + bbox.width);
            if (right - left < 2) continue;
            ctx.save();
            ctx.beginPath();
            ctx.rect(left, bbox.top, right - left, bbox.height);
            ctx.clip();
            ctx.fillStyle = faint(this.paint.gap, 0.1);
            ctx.fillRect(left, bbox.top, right - left, bbox.height);
            ctx.strokeStyle = faint(this.paint.gap, 0.45);
            ctx.lineWidth = scale;
            ctx.beginPath();
            for (let x = left - (left % (9 * scale)) - bbox.height; x < right; x += 9 * scale) {
                ctx.moveTo(x, bbox.top + bbox.height);
                ctx.lineTo(x + bbox.height, bbox.top);
            }
            ctx.stroke();
            ctx.restore();
        }
    }

    /** What a gap means, above all else: in its middle, and inside the chart also where the gap is narrow. */
    label(chart) {
        const { ctx, bbox } = chart;
        const scale = uPlot.pxRatio;
        const end = bbox.left + bbox.width;
        for (const [from, to, text] of this.small ? [] : this.gaps()) {
            const left = Math.max(chart.valToPos(from, "x", true), bbox.left);
            const right = Math.min(chart.valToPos(to, "x", true), end);
            if (!text || right - left < 30 * scale) continue;
            ctx.save();
            ctx.font = font(12 * scale, 600);
            ctx.textAlign = "left";
            ctx.textBaseline = "middle";
            const width = ctx.measureText(text).width + 14 * scale;
            const x = Math.max(bbox.left, Math.min((left + right - width) / 2, end - width));
            ctx.fillStyle = this.paint.card;
            ctx.strokeStyle = this.paint.gap;
            ctx.lineWidth = scale;
            ctx.beginPath();
            ctx.roundRect(x, bbox.top + 6 * scale, width, 21 * scale, 10 * scale);
            ctx.fill();
            ctx.stroke();
            ctx.fillStyle = this.paint.ink;
            ctx.fillText(text, x + 7 * scale, bbox.top + 17 * scale);
            ctx.restore();
        }
    }

    /** The colours have changed. */
    repaint() {
        if (!this.plot) return;
        this.plot.destroy();
        this.plot = null;
        this.resize();
    }

    end() {
        this.sized.disconnect();
        this.plot?.destroy();
    }
}

/** Axes that are counted in a unit: what one of it is, what it is called, and the least step. */
export const WHOLE = () => ({ one: 1, name: "", least: 1 });
export const BYTES = (most) => {
    const power = most < 1024 ? 0 : most < 1024 ** 2 ? 1 : 2;
    return { one: 1024 ** power, name: ["B", "KB", "MB"][power], least: power ? 0.01 : 1 };
};

/** Steps of 1, 2 and 5 in that unit. */
function steps({ one, least }) {
    return Array.from({ length: 36 }, (_, at) => [1, 2, 5][at % 3] * 10 ** Math.floor(at / 3) * least * one);
}

/** Digits behind the point that tell steps of this size apart. */
function digits(step) {
    let count = 0;
    while (count < 4 && Math.abs(Math.round(step * 10 ** count) - step * 10 ** count) > 1e-6) count += 1;
    return count;
}

/** The page's own type, for a canvas. */
function font(size = 12, weight = 400) {
    return `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
}

function blank(ts) {
    return new Array(ts.length).fill(null);
}

/** Points stand alone where there are few of them. */
function lonely(chart, series, from, to) {
    return to - from < chart.bbox.width / uPlot.pxRatio / 9;
}

/** The limits of the values' axis: some room, and never a storm in a teacup. */
function room(low, high, small) {
    if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
    const size = Math.max(Math.abs(low), Math.abs(high));
    if (size > 1e300) return [low < 0 ? -1.7e308 : 0, high > 0 ? 1.7e308 : 0];
    const least = Math.max(size * 0.01, small ? 1 : 0.4);
    const pad = Math.max((high - low) * 0.12, (least - (high - low)) / 2, 1e-9);
    return [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
}
