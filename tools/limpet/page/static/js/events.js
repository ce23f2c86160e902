// What happened to a node, the newest first; bounded.

import { el } from "./dom.js";
import { day, moment } from "./format.js";
import { now, on } from "./state.js";

const MOST = 300;
const KINDS = { status: "status", alert: "alert", response: "Response", command: "Command", "reading-lost": "Reading", log: "log" };

export class Events {
    constructor(id) {
        this.id = id;
        this.list = el("ol", { class: "events" });
        this.none = el("p", { class: "soft", text: "Nothing yet since this page listens." });
        this.element = el("section", { class: "panel wide", "aria-labelledby": "events-head" }, el("h3", { id: "events-head", text: "What happened" }), this.none, this.list);
        this.ends = [
            on("events", (message) => message.id === id && this.load(message.events)),
            on("event", (message) => message.id === id && this.add(message)),
        ];
    }

    end() {
        for (const each of this.ends) each();
    }

    load(events) {
        this.list.replaceChildren();
        this.none.hidden = false;
        for (const event of events.slice(-MOST)) this.add(event);
    }

    add(event) {
        this.none.hidden = true;
        const item = line(event);
        item.second = Math.floor(event.ts); // as shown; within one, what came later is newer
        let older = this.list.firstChild;
        while (older && older.second > item.second) older = older.nextSibling;
        this.list.insertBefore(item, older);
        while (this.list.children.length > MOST) this.list.lastChild.remove();
    }
}

function line(event) {
    return el(
        "li", { class: ["good", "bad", "quiet"].includes(event.weight) ? event.weight : "" },
        el("time", { datetime: iso(event.ts), title: `${day(event.ts)} ${moment(event.ts, event.ts)}`, text: moment(event.ts, now()) }),
        el("span", { class: "kind", text: KINDS[event.kind] ?? event.kind }), el("span", { class: "what", text: event.text }),
    );
}

function iso(seconds) {
    const date = new Date(seconds * 1000);
    return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}
