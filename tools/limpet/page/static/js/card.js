// One device as a card, and as a row of the table.

import { el, mark, say, show } from "./dom.js";
import { ago, moment, number, quantity, words } from "./format.js";
import { drawSpark, spark } from "./spark.js";
import { STATES, shape } from "./states.js";
import { now, stale, unit } from "./state.js";

const VALUES = 4;

function address(id) {
    return `#/node/${encodeURIComponent(id)}`;
}

function known(state) {
    return Object.hasOwn(STATES, state) ? state : "unseen";
}

/** Its state, shape and word; the shape is drawn anew only when it changes. */
export function updateState(place, asked) {
    const state = known(asked);
    if (place.dataset.state === state) return;
    place.dataset.state = state;
    place.className = `badge state-${state}`;
    place.replaceChildren(shape(state), el("span", { text: STATES[state].word }));
    mark(place, "title", STATES[state].means);
}

function seen(card) {
    if (stale()) return card.seen ? `as of ${moment(card.seen, now(), false)}` : ago(card.seen, now());
    return card.state === "asleep" && card.wake_at > now() ? `wakes at ${moment(card.wake_at, now(), false)}` : ago(card.seen, now());
}

/** What ails it, in a few words. */
export function ails(card) {
    const names = (card.alerts ?? []).map((each) => words(each.name));
    if (card.state === "offline" && card.reason) names.unshift(words(card.reason));
    return names.join(", ");
}

export function makeCard() {
    const link = el(
        "a", { class: "card" },
        el("span", { class: "name" }), el("span", { class: "badge" }),
        el("span", { class: "place" }),
        el("span", { class: "values" }),
        spark(),
        el("span", { class: "foot" }, el("span", { class: "ails" }), el("span", { class: "extra" }), el("span", { class: "ago" })),
    );
    const item = el("li", {}, link);
    item.parts = {
        link, name: link.children[0], badge: link.children[1], place: link.children[2], values: link.children[3],
        spark: link.children[4], ails: link.lastChild.children[0], extra: link.lastChild.children[1], ago: link.lastChild.children[2],
    };
    return item;
}

export function updateCard(item, card, index, count) {
    const { parts } = item;
    mark(item, "aria-posinset", index + 1);
    mark(item, "aria-setsize", count);
    say(parts.ago, seen(card));
    if (item.drawn === card) return;
    item.drawn = card;
    mark(parts.link, "data-id", card.id);
    mark(parts.link, "href", address(card.id));
    say(parts.name, card.id);
    updateState(parts.badge, card.state);
    mark(parts.link, "data-state", known(card.state));
    say(parts.place, (card.place ?? []).filter(Boolean).join(" / "));
    drawValues(parts.values, card);
    drawSpark(parts.spark, card.spark);
    const wrong = ails(card);
    say(parts.ails, wrong);
    show(parts.ails, Boolean(wrong));
    say(parts.extra, extra(card));
}

function drawValues(place, card) {
    const fields = Object.keys(card.values ?? {});
    const names = fields.slice(0, VALUES);
    const key = names.join("\n");
    if (place.dataset.key !== key) {
        place.dataset.key = key;
        place.replaceChildren(...names.map((name) => el(
            "span", { class: "value", title: words(name) },
            el("span", { class: "unseen-text", text: `${words(name)} ` }), el("b"), el("i"),
        )));
    }
    for (const [index, name] of names.entries()) {
        const [, value, mine] = place.children[index].children;
        say(value, number(card.values[name], unit(name)));
        say(mine, unit(name) ? `\u00a0${unit(name)}` : ` ${words(name)}`);
    }
    mark(place, "data-more", fields.length > VALUES ? `+${fields.length - VALUES}` : null);
}

function extra(card) {
    const parts = [];
    if (card.queued) parts.push(`${card.queued.toLocaleString("en")} waiting`);
    if (typeof card.rssi === "number") parts.push(`${number(card.rssi)} dBm`);
    return parts.join(" · ");
}

/** The columns of the table: what it is called, how it is sorted, what stands in it. */
export const COLUMNS = [
    ["Node", "name"], ["State", "trouble"], ["Place", ""], ["Values", ""], ["Waiting", "queued"], ["Signal", "rssi"], ["What ails it", "trouble"],
    ["Last heard", "seen"],
];

export function makeRow() {
    const cells = COLUMNS.map(() => el("td"));
    const link = el("a");
    cells[0] = el("th", { scope: "row" }, link);
    const badge = el("span", { class: "badge" });
    cells[1].append(badge);
    const row = el("tr", {}, ...cells);
    row.parts = { link, badge, cells };
    return row;
}

export function updateRow(row, card, index) {
    const { link, badge, cells } = row.parts;
    mark(row, "aria-rowindex", index + 2);
    say(cells[7], seen(card));
    if (row.drawn === card) return;
    row.drawn = card;
    mark(link, "data-id", card.id);
    mark(link, "href", address(card.id));
    say(link, card.id);
    updateState(badge, card.state);
    say(cells[2], (card.place ?? []).filter(Boolean).join(" / "));
    const values = Object.entries(card.values ?? {}).slice(0, VALUES);
    say(cells[3], values.map(([name, value]) => (unit(name) ? quantity(value, unit(name)) : `${words(name)} ${number(value)}`)).join("   "));
    say(cells[4], card.queued ? card.queued.toLocaleString("en") : "");
    say(cells[5], typeof card.rssi === "number" ? `${number(card.rssi)} dBm` : "");
    say(cells[6], ails(card));
}
