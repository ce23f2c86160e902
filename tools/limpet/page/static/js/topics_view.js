// The broker's topics as a tree: how many Messages, what is retained. Only what is open is in the document.

import { el, mark, say, show } from "./dom.js";
import { ago, bytes, plural } from "./format.js";
import { now, on } from "./state.js";

const MOST_FOUND = 300;
const OPEN_AT_FIRST = 12;
const kept = { open: new Set(), closed: new Set(), filter: "" };

/** The tree of rows {topic, n, …}: {name, path, row, n, children}. Pure. */
export function tree(rows) {
    const root = { name: "", path: "", row: null, n: 0, kids: new Map() };
    for (const row of rows) {
        let at = root;
        let path = "";
        for (const name of row.topic.split("/")) {
            path = path ? `${path}/${name}` : name;
            if (!at.kids.has(name)) at.kids.set(name, { name, path, row: null, n: 0, kids: new Map() });
            at = at.kids.get(name);
            at.n += row.n;
        }
        at.row = row;
    }
    return root;
}

export class TopicsView {
    constructor() {
        this.rows = [];
        this.more = 0;
        this.came = false;
        this.search = el("input", {
            type: "search", placeholder: "Filter topics and retained texts", "aria-label": "Filter topics and retained texts; key /",
            autocomplete: "off", spellcheck: "false", oninput: () => this.filter(),
        });
        this.search.value = kept.filter;
        this.count = el("p", { class: "soft", role: "status" });
        this.list = el("ul", { class: "topics" });
        this.element = el(
            "section", { class: "topics-view" },
            el("div", { class: "bar" }, el("div", { class: "find" }, el("div", { class: "search" }, this.search, el("kbd", { text: "/", "aria-hidden": "true" })))),
            this.count, this.list,
        );
        this.ends = [on("topics", (message) => this.take(message))];
        this.elements = new Map();
    }

    begin() {
        this.draw();
    }

    end() {
        for (const each of this.ends) each();
    }

    take(message) {
        this.rows = message.topics;
        this.total = message.count;
        this.more = message.more;
        this.came = true;
        this.draw();
    }

    filter() {
        kept.filter = this.search.value;
        this.draw();
    }

    draw() {
        if (!this.came) {
            say(this.count, "Asking for the topics …");
            return;
        }
        const words = kept.filter.trim().toLowerCase().split(/\s+/).filter(Boolean);
        const found = words.length
            ? this.rows.filter((row) => words.every((word) => `${row.topic} ${row.retained ?? ""}`.toLowerCase().includes(word)))
            : this.rows;
        const cut = words.length ? found.slice(0, MOST_FOUND) : found;
        say(this.count, this.said(found.length, cut.length, words.length > 0));
        const used = new Set();
        this.fill(this.list, tree(cut), words.length > 0, used);
        for (const [path, each] of this.elements) {
            if (!used.has(path)) {
                each.item.remove();
                this.elements.delete(path);
            }
        }
    }

    said(found, shown, filtered) {
        const all = `${plural(this.total ?? this.rows.length, "topic")} heard of`;
        const more = this.more ? `; ${this.more.toLocaleString("en")} more are counted and not kept` : "";
        if (!filtered) return `${all}${more}.`;
        return `${plural(found, "topic")} found${shown < found ? `, the first ${shown} of them shown` : ""}; ${all}${more}.`;
    }

    fill(list, node, all, used) {
        let place = list.firstElementChild;
        for (const kid of node.kids.values()) {
            const path = kid.path;
            used.add(path);
            let each = this.elements.get(path);
            if (!each) {
                each = this.made(kid);
                this.elements.set(path, each);
            }
            if (each.item === place) place = place.nextElementSibling;
            else list.insertBefore(each.item, place);
            this.update(each, kid, all, used);
        }
    }

    made({ name, path }) {
        const toggle = el("button", { type: "button", class: "fold", onclick: () => this.toggle(path) });
        const parts = {
            toggle, name: el("span", { class: "topic-name", text: name }), n: el("span", { class: "topic-n" }), last: el("span", { class: "topic-last" }),
            retained: el("code", { class: "retained" }), kids: el("ul"),
        };
        toggle.append(parts.name);
        const item = el("li", {}, el("div", { class: "topic" }, toggle, parts.n, parts.last), parts.retained, parts.kids);
        return { item, ...parts };
    }

    update(each, node, all, used) {
        const has = node.kids.size > 0;
        const open = has && (all || kept.open.has(node.path) || (!kept.closed.has(node.path) && node.kids.size <= OPEN_AT_FIRST && node.path.split("/").length < 5));
        mark(each.toggle, "aria-expanded", has ? String(open) : null);
        each.toggle.disabled = !has;
        say(each.n, plural(node.n, "Message"));
        say(each.last, node.row ? `${ago(node.row.last, now())}${node.row.size === undefined ? "" : `, ${bytes(node.row.size)}`}` : has && !open ? plural(node.kids.size, "topic") + " below" : "");
        const text = node.row?.retained;
        show(each.retained, text !== null && text !== undefined);
        say(each.retained, text ?? "");
        if (open) this.fill(each.kids, node, all, used);
    }

    toggle(path) {
        const open = this.elements.get(path).toggle.getAttribute("aria-expanded") === "true";
        kept.open[open ? "delete" : "add"](path);
        kept.closed[open ? "add" : "delete"](path);
        this.draw();
    }
}
