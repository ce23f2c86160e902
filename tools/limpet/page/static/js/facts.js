// What a node says of itself: facts in words, settings that are desired and reported, an update on its way.

import { el, say, show } from "./dom.js";
import { ago, bytes, day, number, own, plain, plural, span, words } from "./format.js";
import { now } from "./state.js";

const SOON_S = 30 * 86400;

/** Rows [name, text, weight] about a node: what is known of now, then what its last health said, under how old that is.
    waiting: how many Readings wait, where that is known better than by its health. Pure. */
export function rows(card, node, time, waiting) {
    const health = node?.health ?? {};
    const list = [];
    const put = (name, text, weight = "") => text !== null && text !== undefined && text !== "" && list.push([name, text, weight]);
    put("last heard", card ? ago(card.seen, time) : "");
    put("firmware", node?.firmware);
    put("interval", node?.interval_s ? `one Reading each ${span(node.interval_s)}` : "");
    put("boot", card?.boot ? `number ${number(card.boot)}${health.up === undefined ? "" : `, ${span(health.up + (node.health_at ? time - node.health_at : 0))} ago`}` : "");
    put("connection", node?.session ? `number ${number(node.session)} of this boot` : "");
    if (node?.missing !== undefined && node?.missing !== null) {
        put("missing Readings", node.missing ? plural(node.missing, "Reading") : "none", node.missing ? "quiet" : "good");
    }
    const waits = (count) => put("waiting on the node", count === undefined ? "" : plural(count, "Reading"));
    if (waiting !== undefined) waits(waiting);
    put("certificate", ends(node?.certificate_ends, time), node?.certificate_ends - time < SOON_S ? "bad" : "");
    if (!Object.keys(health).length) return list;
    put("health", node.health_at ? `as said ${ago(node.health_at, time)}:` : "as it was said:", "heading");
    if (waiting === undefined) waits(health.queued);
    put("given up", health.dropped ? `${plural(health.dropped, "Reading")}: the Outbox was full` : "", "bad");
    put("connections lost", losses(node.losses));
    put("free heap", health.heap === undefined ? "" : `${bytes(health.heap)}${health.heap_min === undefined ? "" : `, ${bytes(health.heap_min)} at least`}`);
    put("chip's heap", health.idf === undefined ? "" : `${bytes(health.idf)}, ${bytes(health.idf_largest)} in one piece`);
    put("signal", typeof (health.rssi ?? card?.rssi) === "number" ? `${number(health.rssi ?? card.rssi)} dBm` : "");
    put("TLS handshake", health.handshake_ms ? `${number(health.handshake_ms)} ms` : "");
    put("ping", health.ping_ms ? `${number(health.ping_ms)} ms` : "");
    put("flash errors", health.flash_errors || "", "bad");
    put("bugs", health.bugs || "", "bad");
    return list;
}

function losses(found) {
    const causes = Object.entries(found ?? {}).sort((a, b) => b[1] - a[1]);
    return causes.map(([cause, count]) => `${count} × ${words(cause)}`).join(", ") || "none";
}

function ends(at, time) {
    if (!at) return "";
    return at < time ? `ended on ${day(at)}` : `good until ${day(at)}${at - time < SOON_S ? `, ${span(at - time)} from now` : ""}`;
}

export class Facts {
    constructor() {
        this.list = el("dl", { class: "facts" });
        this.element = el("section", { class: "panel about", "aria-labelledby": "facts-head" }, el("h3", { id: "facts-head", text: "About it" }), this.list);
        this.there = new Map();
    }

    draw(card, node, waiting) {
        const found = rows(card, node, now(), waiting);
        const names = new Set(found.map(([name]) => name));
        for (const [name, [term, value]] of this.there) {
            if (!names.has(name)) {
                term.remove();
                value.remove();
                this.there.delete(name);
            }
        }
        const order = [...names].join("\n");
        if (order !== this.order) this.list.replaceChildren();
        this.order = order;
        for (const [name, text, weight] of found) {
            let pair = this.there.get(name);
            if (!pair) {
                pair = [el("dt", { text: name }), el("dd")];
                this.there.set(name, pair);
            }
            if (!pair[0].parentNode) this.list.append(...pair);
            say(pair[1], String(text));
            if (pair[1].className !== weight) pair[1].className = weight;
        }
    }
}

/** Settings: what the node is to have, and what it says that it has. Shown when there is one of them. */
export class Settings {
    constructor() {
        this.body = el("tbody");
        this.element = el(
            "section", { class: "panel", hidden: true, "aria-labelledby": "settings-head" }, el("h3", { id: "settings-head", text: "Settings" }),
            el("table", { class: "settings" }, el("thead", {}, el("tr", {}, ...["", "reported", "desired"].map((text) => el("th", { scope: "col", text })))), this.body),
        );
    }

    draw(node) {
        const [reported, desired] = [node?.reported, node?.desired];
        show(this.element, Boolean(reported || desired));
        const key = JSON.stringify([reported, desired]);
        if (key === this.key) return;
        this.key = key;
        const names = [...new Set([...Object.keys(reported ?? {}), ...Object.keys(desired ?? {})])];
        this.body.replaceChildren(...names.map((name) => {
            const [is, wanted] = [own(reported, name), own(desired, name)];
            const differs = wanted !== undefined && JSON.stringify(is) !== JSON.stringify(wanted);
            return el(
                "tr", { class: differs ? "differs" : "" }, el("th", { scope: "row", text: words(name) }), el("td", { text: plain(is) }),
                el("td", { text: wanted === undefined ? "" : differs ? `${plain(wanted)}, not yet` : plain(wanted) }),
            );
        }));
    }
}

/** An update: how far it is. Shown while there is one. */
export class Update {
    constructor() {
        this.bar = el("progress", { max: 1, "aria-label": "How far the update is" });
        this.text = el("p");
        this.element = el("section", { class: "panel", hidden: true, "aria-labelledby": "update-head" }, el("h3", { id: "update-head", text: "Update" }), this.bar, this.text);
    }

    draw(node) {
        const update = node?.update;
        show(this.element, Boolean(update));
        if (!update) return;
        const share = share_of(update);
        show(this.bar, share !== null);
        if (share !== null) this.bar.value = share;
        const said = Object.entries(update).filter(([name]) => name !== "v").map(([name, value]) => `${words(name)} ${plain(value)}`);
        say(this.text, said.join(", "));
    }
}

function share_of(update) {
    if (typeof update.percent === "number") return update.percent / 100;
    const [have, all] = [update.have ?? update.got ?? update.offset, update.size ?? update.total];
    return typeof have === "number" && all > 0 ? Math.min(1, have / all) : null;
}
