// Small multiples: heap, signal and queue, from what the server has of them and from each health that comes.

import { BYTES, Chart, WHOLE } from "./chart.js";
import { el, show } from "./dom.js";
import { bytes, number } from "./format.js";
import { Series } from "./series.js";
import { changed, now, on } from "./state.js";

const SHOWN = [
    ["heap", "free heap", (value) => bytes(value), BYTES],
    ["rssi", "signal", (value) => `${number(value)} dBm`, WHOLE],
    ["queued", "waiting on the node", (value) => number(value), WHOLE],
];
const LEAST_S = 300;
const NO_GAP = 1e9;

export class Health {
    constructor(id) {
        this.id = id;
        this.series = new Map();
        this.charts = new Map(SHOWN.map(([name, text, format, axis], hue) => [name, new Chart({ field: text, unit: "", hue: hue + 1, height: 108, small: true, format, axis })]));
        this.none = el("p", { class: "soft", text: "Drawn once it has said this of itself twice; a node does so every 5 minutes, or each health_s seconds of its config." });
        this.place = el("div", { class: "multiples" }, ...[...this.charts.values()].map((each) => each.element));
        this.element = el("section", { class: "panel health", "aria-labelledby": "health-head" }, el("h3", { id: "health-head", text: "Health" }), this.none, this.place);
        this.ends = [on("theme", () => this.repaint()), on("health-drawn", () => this.draw())];
        for (const each of this.charts.values()) show(each.element, false);
    }

    end() {
        for (const each of this.ends) each();
        for (const each of this.charts.values()) each.end();
    }

    repaint() {
        for (const each of this.charts.values()) each.repaint();
    }

    take(node) {
        const time = now();
        for (const [name] of SHOWN) {
            if (!this.series.has(name)) {
                const series = new Series();
                for (const [t, value] of node.trend?.[name] ?? []) series.add(t, value, false, 0);
                this.series.set(name, series);
            }
            const value = node.health?.[name];
            const series = this.series.get(name);
            if (node.trend?.[name]) for (const [t, each] of node.trend[name].slice(-3)) series.add(t, each, false, 0);
            else if (typeof value === "number" && value !== series.last()?.[1]) series.add(time, value, false, 0);
        }
        changed("health-drawn");
    }

    draw() {
        const time = now();
        let any = false;
        for (const [name, series] of this.series) {
            const chart = this.charts.get(name);
            const has = series.points.length > 1;
            any ||= has;
            show(chart.element, has);
            if (has) chart.set(series.columns(NO_GAP), [Math.min(series.points[0][0], time - LEAST_S), time]);
        }
        show(this.none, !any);
        show(this.place, any);
    }
}
