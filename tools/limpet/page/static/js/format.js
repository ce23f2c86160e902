// Numbers and times as people read them. Pure.

const FIXED = { V: 2, hPa: 1, "°C": 1, "%": 1 };
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** A number without its unit, a few characters whatever it is: 24.4, 1,013.2, 1.0e+308. */
export function number(value, unit = "") {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number" || !Number.isFinite(value)) return "?";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e7 || size < 1e-3)) return minus(value.toExponential(1));
    const digits = FIXED[unit] ?? (Number.isInteger(value) ? 0 : size < 10 ? 2 : 1);
    return minus(value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
}

/** With a minus sign, which is as wide as a plus. */
function minus(text) {
    return text.replaceAll("-", "−");
}

/** A number with its unit. */
export function quantity(value, unit = "") {
    return unit ? `${number(value, unit)}\u00a0${unit}` : number(value, unit);
}

/** The name of a field in words: outdoor_temperature is outdoor temperature. */
export function words(name) {
    return String(name).replaceAll("_", " ");
}

/** A stretch of time, in the unit that fits: 8 s, 3 min, 2.5 h, 4 d. */
export function span(seconds) {
    if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
    const s = Math.max(0, seconds);
    if (s < 1) return "0\u00a0s";
    if (s < 2 * MINUTE) return `${Math.floor(s)}\u00a0s`;
    if (s < 2 * HOUR) return `${Math.floor(s / MINUTE)}\u00a0min`;
    if (s < 2 * DAY) return `${Math.floor(s / HOUR)}\u00a0h`;
    return `${Math.floor(s / DAY)}\u00a0d`;
}

/** How long ago: just now, 8 s ago, never. */
export function ago(then, now) {
    if (!then) return "never heard";
    return now - then < 2 ? "just now" : `${span(now - then)} ago`;
}

/** The time of day, with the date where that is not today. */
export function moment(seconds, now, precise = true) {
    if (seconds === null || seconds === undefined) return "–";
    const date = new Date(seconds * 1000);
    if (Number.isNaN(date.getTime())) return "–";
    const clock = date.toLocaleTimeString("en-GB", precise ? {} : { hour: "2-digit", minute: "2-digit" });
    return new Date(now * 1000).toDateString() === date.toDateString() ? clock : `${day(seconds)} ${clock}`;
}

/** A date: 2026-11-30. */
export function day(seconds) {
    const date = new Date(seconds * 1000);
    if (Number.isNaN(date.getTime())) return "–";
    const two = (value) => String(value).padStart(2, "0");
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Bytes: 812 B, 41.3 KB. */
export function bytes(value) {
    if (typeof value !== "number") return "–";
    if (value < 1024) return `${value} B`;
    if (value < 1024 * 1024) return `${(value / 1024).toFixed(1)} KB`;
    return `${(value / 1024 / 1024).toFixed(1)} MB`;
}

/** What a Command took: 84 ms, 3.2 s. */
export function took(ms) {
    if (typeof ms !== "number") return "";
    return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function plural(count, one, many = `${one}s`) {
    return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** A member of what a device has said, if it has said it: `constructor` is one of every object. */
export function own(said, name) {
    return said && Object.hasOwn(said, name) ? said[name] : undefined;
}

/** A value out of a Message, as text; objects as JSON. */
export function plain(value) {
    if (value === null || value === undefined) return "–";
    if (Number.isSafeInteger(value)) return minus(value.toLocaleString("en"));
    if (typeof value === "number") return number(value);
    if (typeof value !== "object") return String(value);
    return Object.keys(value).length ? JSON.stringify(value) : "none";
}
