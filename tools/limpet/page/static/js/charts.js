// The charts of a node: which stretch of time they show, and where their points come from.

import { Chart } from "./chart.js";
import { ask, why } from "./connection.js";
import { button, el, mark, say, show } from "./dom.js";
import { moment, plural, span } from "./format.js";
import { Series } from "./series.js";
import { changed, fleet, now, on, unit, waitingOn } from "./state.js";

const MINUTE = 60;
const DAY = 86400;
// name, seconds, and whether it needs ingest's store; 0 is all that there is.
const RANGES = [
    ["5 min", 5 * MINUTE, false], ["15 min", 15 * MINUTE, false], ["1 h", 60 * MINUTE, false], ["24 h", DAY, true], ["7 d", 7 * DAY, true],
    ["30 d", 30 * DAY, true], ["all", 0, true],
];
const POINTS = 800;
const MOST_FIELDS = 12;
const LEAST_ZOOM_S = 10;
const LEAST_S = 60;
const MINUTES = 3600;
const QUIET_MS = 1500;
// A gap: nothing came for so many intervals, and a little.
const INTERVALS = 1.8;
const SLACK_S = 1.5;
const NONE = "It has not said a Reading yet.";

export class Charts {
    constructor(id) {
        this.id = id;
        this.interval = 0;
        this.range = 15 * MINUTE;
        this.zoom = null;
        this.since = null;
        this.step = 0;
        this.serverGaps = [];
        this.charts = new Map();
        this.series = new Map();
        this.asked = 0;
        this.waiting = [];
        this.ranges = el("div", { class: "segmented", role: "group", "aria-label": "Stretch of time" });
        this.zoomed = el("span", { class: "zoomed", hidden: true });
        this.out = button("Back to now", () => this.show({ zoom: null }), { class: "quiet", hidden: true });
        this.tools = el(
            "div", { class: "zoom", role: "group", "aria-label": "Zoom" },
            button("‹", () => this.pan(-0.5), { "aria-label": "Earlier" }), button("−", () => this.magnify(2), { "aria-label": "Zoom out" }),
            button("+", () => this.magnify(0.5), { "aria-label": "Zoom in" }), button("›", () => this.pan(0.5), { "aria-label": "Later" }), this.out,
        );
        this.note = el("p", { class: "soft note", role: "status" });
        this.place = el("div", { class: "chart-list" });
        this.legend = el(
            "ul", { class: "legend" }, el("li", { class: "key-live", text: "came live" }), el("li", { class: "key-late", text: "came late, with its own time" }),
            el("li", { class: "key-gap", text: "no Reading" }), this.keyBand = el("li", { class: "key-band", text: "least to most", hidden: true }),
        );
        this.csv = el("a", { download: true, text: "CSV" });
        this.parquet = el("a", { download: true, text: "Parquet" });
        this.element = el(
            "div", { class: "panel charts" },
            el("div", { class: "chart-bar" }, this.ranges, this.zoomed, this.tools), this.place,
            el("div", { class: "chart-foot" }, this.legend, this.note, el("p", { class: "download" }, "Download ", this.csv, this.parquet)),
        );
        this.ends = [
            on("readings", (message) => message.id === id && this.readings(message)), on("charts", () => this.draw()),
            on("theme", () => this.repaint()), on("hello", () => this.drawRanges()), on("say", (message) => message.missed && this.load()), on("scene", () => changed("charts")),
        ];
        this.drawRanges();
    }

    begin() {
        this.timer = setInterval(() => this.tick(), 1000);
        this.ticks = 0;
        this.load();
    }

    end() {
        clearInterval(this.timer);
        clearTimeout(this.quiet);
        clearTimeout(this.soon);
        this.asked += 1; // an answer that is still to come is nobody's
        for (const each of this.ends) each();
        for (const each of this.charts.values()) each.end();
    }

    /** Beside the levers one sees the last minutes. */
    short() {
        if (this.range === 15 * MINUTE && !this.zoom) this.show({ range: 5 * MINUTE });
    }

    take(card) {
        const names = Object.keys(card.values ?? {}).slice(0, MOST_FIELDS);
        if (this.add(names)) this.load();
        if (!names.length && !this.charts.size && !fleet.hello?.store) say(this.note, NONE);
    }

    /** Make charts for those fields that have none; whether there were some. */
    add(names) {
        const fresh = names.filter((name) => !this.charts.has(name)).slice(0, MOST_FIELDS - this.charts.size);
        for (const name of fresh) {
            const chart = new Chart({
                field: name, unit: unit(name), hue: this.charts.size, height: 190, gaps: () => this.gaps(name),
                onzoom: (limits) => this.show({ zoom: limits }),
            });
            this.charts.set(name, chart);
            this.series.set(name, new Series());
            this.place.append(chart.element);
        }
        return fresh.length > 0;
    }

    drawRanges() {
        const store = fleet.hello?.store;
        const key = `${store} ${this.range} ${Boolean(this.zoom)}`;
        if (key === this.rangesKey) return;
        this.rangesKey = key;
        const offered = RANGES.filter(([, , needs]) => store || !needs);
        this.ranges.replaceChildren(...offered.map(([text, seconds]) => button(text, () => this.show({ range: seconds, zoom: null }), {
            "aria-pressed": String(seconds === this.range && !this.zoom),
        })));
    }

    /** Show another range, or a stretch [from, to]. */
    show(what) {
        Object.assign(this, what);
        this.drawRanges();
        const { zoom } = this;
        show(this.zoomed, Boolean(zoom));
        show(this.out, Boolean(zoom));
        if (zoom) say(this.zoomed, `${moment(zoom[0], now())} to ${moment(zoom[1], now())}`);
        changed("charts");
        clearTimeout(this.soon);
        this.soon = setTimeout(() => this.load(), 120);
    }

    magnify(by) {
        const [from, to] = this.limits();
        const middle = by < 1 && !this.zoom ? to - ((to - from) * by) / 2 : (from + to) / 2;
        const half = Math.max(((to - from) * by) / 2, LEAST_ZOOM_S / 2);
        this.show({ zoom: [middle - half, Math.min(middle + half, now() + half / 10)] });
    }

    pan(by) {
        const [from, to] = this.limits();
        const shift = Math.min((to - from) * by, Math.max(0, now() - to));
        this.show({ zoom: [from + shift, to + shift] });
    }

    limits() {
        if (this.zoom) return this.zoom;
        const to = now();
        const all = this.since ? Math.max(to - this.since, LEAST_S) : DAY;
        // Of what has just begun there are no fifteen minutes to show.
        const begun = this.source === "memory" && this.range <= MINUTES ? all : Infinity;
        return [to - Math.min(this.range || all, begun), to];
    }

    /** Ask the server for what these charts show. */
    async load() {
        const names = [...this.charts.keys()];
        // What has said nothing since this page is there may still have a history.
        if (!names.length && !fleet.hello?.store) return;
        this.asked += 1;
        const mine = this.asked;
        const [from, to] = this.limits();
        const query = new URLSearchParams({ from: String(this.range || this.zoom ? from : 0), to: String(to), points: String(POINTS) });
        for (const name of names) query.append("field", name);
        this.links(from, to);
        this.waiting = [];
        try {
            const found = await ask(`/api/nodes/${encodeURIComponent(this.id)}/history?${query}`);
            if (mine !== this.asked) return;
            this.step = found.step ?? 0;
            this.since = found.since ?? this.since;
            this.source = found.source;
            this.serverGaps = found.gaps ?? [];
            if (!names.length) this.add(Object.keys(found.fields ?? {}));
            for (const name of this.charts.keys()) this.series.get(name).load(found.fields?.[name], found.step, found.late ?? []);
            // What has come while the answer was on its way.
            for (const message of this.waiting) this.enter(message);
            // Only now it is known how far back all that there is goes.
            this.links(...this.limits());
            say(this.note, this.said(found));
        } catch (error) {
            if (mine === this.asked) say(this.note, why(error));
        }
        changed("charts");
    }

    said(found) {
        const from = found.source === "store" ? "The store" : "This page's memory";
        if (!this.charts.size) return NONE;
        const back = found.since ? `${from} goes back to ${moment(found.since, now(), false)}.` : "";
        return found.note ? `${back} ${found.note}`.trim() : back;
    }

    links(from, to) {
        for (const [link, format] of [[this.csv, "csv"], [this.parquet, "parquet"]]) {
            mark(link, "href", `/api/nodes/${encodeURIComponent(this.id)}/download?${new URLSearchParams({ format, from: Math.floor(from), to: Math.ceil(to) })}`);
        }
    }

    readings(message) {
        this.waiting.push(message);
        this.enter(message);
        changed("charts");
        if (!message.late) return;
        // The backlog is in: what the server says of this stretch has changed.
        clearTimeout(this.quiet);
        this.quiet = setTimeout(() => this.load(), QUIET_MS);
    }

    enter({ rows, late }) {
        for (const [ts, , , values] of rows) {
            // Of a stretch of before nothing that comes now is a part; it is asked for again when it is shown.
            if (typeof ts !== "number" || (this.zoom && ts > this.zoom[1])) continue;
            for (const [name, series] of this.series) {
                if (Object.hasOwn(values, name)) series.add(ts, values[name], late, this.expected());
            }
        }
    }

    expected() {
        return this.interval || this.series.values().next().value?.usual() || 0;
    }

    /** Stretches without a Reading, with words for them. */
    gaps(name) {
        const series = this.series.get(name);
        const interval = this.expected();
        const found = [];
        // A point stands for many Readings: how many are missing the server knows, but not where a node was off.
        if (this.step > this.interval) {
            for (const [from, to, missing] of this.serverGaps) found.push([from, to, missing ? `${plural(missing, "Reading")} missing` : ""]);
            for (const [from, to] of series.breaks()) {
                if (!found.some((each) => each[0] < to && each[1] > from)) found.push([from, to, `nothing for ${span(to - from)}`]);
            }
        } else if (interval) {
            let before = null;
            for (const [t, value] of series.points) {
                if (value === null) continue;
                if (before !== null && t - before > INTERVALS * interval) {
                    const missing = Math.max(1, Math.round((t - before) / interval) - 1);
                    found.push([before, t, missing > 1 ? `${missing} Readings not here` : ""]);
                }
                before = t;
            }
        }
        const last = series.last();
        if (last && interval && !this.zoom && now() - last[0] > this.step + Math.max(2 * INTERVALS * interval, INTERVALS * interval + SLACK_S)) {
            const waiting = waitingOn(this.id);
            found.push([last[0], now(), waiting ? `${plural(waiting, "Reading")} wait${waiting === 1 ? "s" : ""} on flash` : `nothing for ${span(now() - last[0])}`]);
        }
        return found;
    }

    tick() {
        this.ticks += 1;
        const [from, to] = this.limits();
        // A pixel of a week is minutes: no need to draw it each second.
        if (!this.zoom && (to - from <= 3600 || this.ticks % 10 === 0)) changed("charts");
        if (!this.zoom && to - from > 3600 && this.ticks % 300 === 0) this.load();
    }

    draw() {
        const limits = this.limits();
        let wide = false;
        for (const [name, chart] of this.charts) {
            const series = this.series.get(name);
            const band = this.step > 0 && series.wide;
            wide ||= band;
            chart.set(series.columns(this.interval), limits, band);
        }
        show(this.keyBand, wide);
    }

    repaint() {
        for (const each of this.charts.values()) each.repaint();
    }
}
