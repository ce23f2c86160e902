// All devices: counted by state, searched, sorted, as cards or as a table.

import { COLUMNS, ails, makeCard, makeRow, updateCard, updateRow } from "./card.js";
import { el, mark, say, show } from "./dom.js";
import { plural, words } from "./format.js";
import { ORDER, shape } from "./states.js";
import { changed, fleet, on } from "./state.js";
import { Windowed } from "./windowing.js";

// Cards that jump about can neither be read nor hit: an order holds for so long.
const HOLD_MS = { trouble: 2000, name: 2000 };
const HOLD_REST_MS = 10000;
const CARD = { height: 164, least: 264, gap: 14 };
const ROW = 41;
// Kept while the page is open, so that one comes back to what one has left.
const kept = { search: "", states: new Set(), sort: "trouble", top: 0 };

// To compare two thousand names costs more than all else: it is done when there are others.
const NAMES = new Intl.Collator("en", { numeric: true });
let named = new Map();

/** The place of each device by its name: node-2 before node-10. */
function byName() {
    if (named.size !== fleet.cards.size || [...fleet.cards.keys()].some((id) => !named.has(id))) {
        named = new Map([...fleet.cards.keys()].sort(NAMES.compare).map((id, index) => [id, index]));
    }
    return named;
}

function by(sort) {
    const places = byName();
    const name = (a, b) => places.get(a.id) - places.get(b.id);
    const field = sort.startsWith("field:") ? sort.slice(6) : "";
    const key = {
        trouble: (card) => card.rank ?? ORDER.indexOf(card.state),
        name: () => 0,
        seen: (card) => -(card.seen || 0),
        queued: (card) => -(card.queued ?? -1),
        rssi: (card) => card.rssi ?? 1,
    }[sort] ?? ((card) => -(typeof card.values?.[field] === "number" ? card.values[field] : -Infinity));
    return (a, b) => key(a) - key(b) || name(a, b);
}

function moved() {
    changed("cards");
}

export class FleetView {
    constructor(kind) {
        this.kind = kind;
        this.top = kept.top;
        this.order = [];
        this.orderedAt = -Infinity;
        this.chips = new Map();
        this.element = el("section", { class: `fleet fleet-${kind}` }, this.bar(), kind === "table" ? this.table() : this.grid(), this.empty());
        this.ends = [on("cards", () => this.draw()), on("hello", () => this.drawFields())];
        this.timer = setInterval(moved, 1000);
    }

    begin() {
        this.window.begin();
        this.drawFields();
        this.draw();
    }

    end() {
        kept.top = scrollY;
        clearInterval(this.timer);
        this.window.end();
        for (const each of this.ends) each();
    }

    bar() {
        for (const state of ORDER) {
            const count = el("b", { text: "0" });
            const chip = el(
                "button", { type: "button", class: `chip state-${state}`, "aria-pressed": "false", onclick: () => this.toggle(state) },
                shape(state), count, el("span", { text: state }),
            );
            this.chips.set(state, { chip, count });
        }
        this.search = el("input", {
            type: "search", placeholder: "Search", "aria-label": "Search nodes: name, place, alert; key /", autocomplete: "off",
            spellcheck: "false", oninput: () => this.find(), onkeydown: (event) => this.typed(event),
        });
        this.search.value = kept.search;
        this.sort = el("select", { "aria-label": "Sort by", onchange: () => this.sorted(this.sort.value) });
        this.count = el("p", { class: "unseen-text", role: "status" });
        return el(
            "div", { class: "bar" },
            el("div", { class: "chips", role: "group", "aria-label": "Show by state" }, ...[...this.chips.values()].map((each) => each.chip)),
            el("div", { class: "find" }, el("div", { class: "search" }, this.search, el("kbd", { text: "/", "aria-hidden": "true" })), this.sort),
            this.count,
        );
    }

    grid() {
        const before = el("div");
        const after = el("div");
        this.body = el("ul", { class: "card-list", "aria-label": "Nodes", onkeydown: (event) => this.step(event) });
        this.window = new Windowed({
            body: this.body, before, after, make: makeCard, update: updateCard, key: (card) => card.id,
            columns: () => this.columns(), rowHeight: () => CARD.height + CARD.gap, moved,
        });
        return el("div", { class: "grid" }, before, this.body, after);
    }

    table() {
        const before = el("td");
        const after = el("td");
        this.body = el("tbody", { onkeydown: (event) => this.step(event) });
        this.heads = COLUMNS.map(([text, sort]) => el(
            "th", { scope: "col" }, sort && text !== "What ails it" ? el("button", { type: "button", text, onclick: () => this.sorted(sort) }) : text,
        ));
        this.whole = el(
            "table", {}, el("caption", { class: "unseen-text", text: "Nodes" }), el("thead", {}, el("tr", {}, ...this.heads)),
            el("tbody", { class: "spacer", "aria-hidden": "true" }, el("tr", {}, before)), this.body,
            el("tbody", { class: "spacer", "aria-hidden": "true" }, el("tr", {}, after)),
        );
        this.window = new Windowed({
            body: this.body, before, after, make: makeRow, update: updateRow, key: (card) => card.id, columns: () => 1, rowHeight: () => ROW, moved,
        });
        return el("div", { class: "table-box" }, this.whole);
    }

    empty() {
        this.none = el("div", { class: "none", hidden: true }, el("h2"), el("p"));
        return this.none;
    }

    columns() {
        const width = this.body.clientWidth || innerWidth;
        return Math.max(1, Math.floor((width + CARD.gap) / (CARD.least + CARD.gap)));
    }

    /** The fields of the fleet, to sort by; those that have a unit are known from the start. */
    drawFields() {
        const names = new Set();
        for (const card of fleet.cards.values()) {
            for (const name of Object.keys(card.values ?? {})) names.add(name);
            if (names.size > 30) break;
        }
        const key = [...names].sort().join("\n");
        if (key === this.fieldsKey) return;
        this.fieldsKey = key;
        const options = [["trouble", "Trouble first"], ["name", "Name"], ["seen", "Last heard"], ["queued", "Most waiting"], ["rssi", "Weakest signal"]];
        for (const name of [...names].sort()) options.push([`field:${name}`, `Highest ${words(name)}`]);
        this.sort.replaceChildren(...options.map(([value, text]) => el("option", { value, text })));
        this.sort.value = options.some(([value]) => value === kept.sort) ? kept.sort : "trouble";
    }

    toggle(state) {
        if (!kept.states.delete(state)) kept.states.add(state);
        this.anew();
    }

    find() {
        kept.search = this.search.value;
        this.anew();
    }

    typed(event) {
        if (event.key === "Escape") {
            this.search.value = "";
            this.find();
            this.search.blur();
        } else if (event.key === "Enter" && this.order.length === 1) {
            location.hash = `#/node/${encodeURIComponent(this.order[0])}`;
        } else if (event.key === "ArrowDown") {
            event.preventDefault();
            this.focus(0);
        }
    }

    sorted(sort) {
        kept.sort = sort;
        this.sort.value = sort;
        this.anew();
    }

    /** Order and choice were changed by hand: at once, and from the top. */
    anew() {
        this.orderedAt = -Infinity;
        if (scrollY > this.element.offsetTop) scrollTo(0, 0);
        this.draw();
    }

    draw() {
        const counts = Object.fromEntries(ORDER.map((state) => [state, 0]));
        for (const card of fleet.cards.values()) counts[card.state] = (counts[card.state] ?? 0) + 1;
        for (const [state, { chip, count }] of this.chips) {
            say(count, counts[state].toLocaleString("en"));
            mark(chip, "aria-pressed", String(kept.states.has(state)));
            mark(chip, "data-none", counts[state] ? null : "");
        }
        const time = performance.now();
        if (time - this.orderedAt > (HOLD_MS[kept.sort] ?? HOLD_REST_MS) || !this.order.length) {
            this.orderedAt = time;
            this.drawFields();
            this.order = this.chosen().sort(by(kept.sort)).map((card) => card.id);
            say(this.count, kept.search || kept.states.size ? `${plural(this.order.length, "node")} shown` : "");
        }
        const cards = this.order.map((id) => fleet.cards.get(id)).filter(Boolean);
        if (this.heads) {
            mark(this.whole, "aria-rowcount", cards.length + 1);
            for (const [index, [, sort]] of COLUMNS.entries()) {
                mark(this.heads[index], "aria-sort", sort === kept.sort && index < 7 && index !== 6 ? (sort === "name" ? "ascending" : "other") : null);
            }
        } else {
            this.body.style.setProperty("--columns", this.columns());
        }
        this.window.set(cards);
        this.drawNone(cards.length);
    }

    chosen() {
        const wanted = kept.search.trim().toLowerCase().split(/\s+/).filter(Boolean);
        const found = [];
        for (const card of fleet.cards.values()) {
            if (kept.states.size && !kept.states.has(card.state)) continue;
            const text = wanted.length ? `${card.id} ${(card.place ?? []).join(" ")} ${card.state} ${ails(card)}`.toLowerCase() : "";
            if (wanted.every((word) => text.includes(word))) found.push(card);
        }
        return found;
    }

    drawNone(count) {
        show(this.none, !count && fleet.loaded);
        if (count) return;
        const [head, text] = this.none.children;
        const empty = !fleet.cards.size;
        say(head, empty ? "No nodes yet" : "No node is like that");
        say(text, empty ? "Make one with limpet provision; it shows up here by itself." : "Take away a filter, or search for something else.");
    }

    /** Arrow keys, Home, End and Page keys go from one node to another. */
    step(event) {
        const link = event.target.closest("a[data-id]");
        if (!link) return;
        const at = this.window.items.findIndex((card) => card.id === link.dataset.id);
        const columns = this.window.columns();
        const page = columns * Math.max(1, Math.floor(innerHeight / this.window.rowHeight()) - 1);
        const last = this.window.items.length - 1;
        const steps = {
            ArrowLeft: this.heads ? null : at - 1, ArrowRight: this.heads ? null : at + 1, ArrowUp: at - columns, ArrowDown: at + columns,
            Home: 0, End: last, PageUp: Math.max(0, at - page), PageDown: Math.min(last, at + page),
        };
        const to = steps[event.key];
        if (to === undefined || to === null || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        if (to >= 0 && to <= last) this.focus(to);
        else if (to < 0 && event.key === "ArrowUp") this.search.focus();
    }

    focus(index) {
        this.window.reveal(index)?.querySelector("a")?.focus({ preventScroll: true });
    }
}
