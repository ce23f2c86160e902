// The points of one field over time: history from the server, live Readings behind it, late ones between. Pure.

const GAP = 1.8;
const MOST = 20000;

/** One field. Points are [t, value or null, low, high, late], in the order of their times. */
export class Series {
    constructor() {
        this.points = [];
        this.step = 0;
    }

    /** What the server has of a stretch: {ts, min, mean, max}, with nulls where nothing came. */
    load(history, step, late = []) {
        this.step = step ?? 0;
        const { ts = [], min = [], mean = [], max = [] } = history ?? {};
        const isLate = (t) => late.some(([from, to]) => t >= from && t <= to);
        this.points = ts.map((t, index) => [t, mean[index] ?? null, min[index] ?? null, max[index] ?? null, isLate(t)]);
    }

    /** A Reading, live or late; where its place is. interval: seconds between two of them. */
    add(t, value, late, interval) {
        const { points } = this;
        const good = typeof value === "number" && Number.isFinite(value) ? value : null;
        let at = points.length;
        while (at > 0 && points[at - 1][0] > t) at -= 1;
        if (at > 0 && points[at - 1][0] === t) {
            if (points[at - 1][1] === null) points[at - 1] = [t, good, good, good, late];
            return;
        }
        points.splice(at, 0, [t, good, good, good, late]);
        if (good !== null) {
            // A null that stood for the gap goes when the gap is filled.
            const near = (point) => point && point[1] === null && Math.abs(point[0] - t) < interval;
            if (near(points[at + 1])) points.splice(at + 1, 1);
            if (near(points[at - 1])) points.splice(at - 1, 1);
        }
        if (points.length > MOST) points.splice(0, points.length - MOST);
    }

    /** Columns for the chart: [ts, low, high, value, late value]; a null wherever the line has to break.
        interval: seconds between two Readings, 0 where it is not known. */
    columns(interval) {
        const ts = [];
        const low = [];
        const high = [];
        const value = [];
        const late = [];
        const put = (t, a, b, c, d) => {
            ts.push(t);
            low.push(a);
            high.push(b);
            value.push(c);
            late.push(d);
        };
        const gap = GAP * Math.max(this.step, interval || this.usual());
        let before = null;
        for (const point of this.points) {
            const [t, v, min, max, isLate] = point;
            if (before && gap > 0 && t - before[0] > gap && v !== null && before[1] !== null) put((before[0] + t) / 2, null, null, null, null);
            put(t, min, max, v, isLate ? v : null);
            before = point;
        }
        return [ts, low, high, value, late];
    }

    /** Stretches [from, to] where the server says that the line breaks. */
    breaks() {
        const found = [];
        let before = null;
        let broken = false;
        for (const [t, value] of this.points) {
            if (value === null) {
                broken = before !== null;
                continue;
            }
            if (broken) found.push([before + this.step, t]);
            before = t;
            broken = false;
        }
        return found;
    }

    /** The usual distance of two points: the median. */
    usual() {
        const steps = this.points.slice(-200).map((point, index, some) => (index ? point[0] - some[index - 1][0] : 0)).filter((step) => step > 0);
        steps.sort((a, b) => a - b);
        return steps[steps.length >> 1] ?? 0;
    }

    /** Whether points stand for more than one Reading each. */
    get wide() {
        return this.points.some(([, v, low, high]) => v !== null && low !== high);
    }

    last() {
        for (let index = this.points.length - 1; index >= 0; index -= 1) {
            if (this.points[index][1] !== null) return this.points[index];
        }
        return null;
    }
}
