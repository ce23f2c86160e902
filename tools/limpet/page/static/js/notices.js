// What everybody has to know: no server, no broker, read-only; and what the server says once.
// Turns of devices are spoken for screen readers, at most every few seconds.

import { again } from "./connection.js";
import { button, el } from "./dom.js";
import { ago, plural, span } from "./format.js";
import { fleet, now, on } from "./state.js";

const SPEAK_MS = 4000;
const NAMED = 3;
const SAID = 3;

export class Notices {
    constructor(place, spoken) {
        this.place = place;
        this.spoken = spoken;
        this.said = [];
        this.turned = new Map();
        this.key = "";
        for (const kind of ["link", "broker", "hello"]) on(kind, () => this.draw());
        on("say", (message) => !message.missed && this.say(message));
        on("turned", (card) => this.turn(card));
        setInterval(() => this.tick(), 1000);
    }

    say({ weight, text }) {
        this.said = [...this.said.filter((each) => each.text !== text), { weight, text }].slice(-SAID);
        this.draw();
    }

    tick() {
        const left = this.place.querySelector("[data-until]");
        if (left) left.textContent = wait(Number(left.dataset.until));
        const since = this.place.querySelector("[data-since]");
        if (since) since.textContent = ago(Number(since.dataset.since), now());
    }

    draw() {
        const { link, broker } = fleet;
        const key = JSON.stringify([link, broker?.up, broker?.text, broker?.at, this.said]);
        if (key === this.key) return;
        this.key = key;
        this.place.replaceChildren(...[
            link.state === "lost" && this.lost(link),
            link.state === "live" && broker && !broker.up && away(broker),
            ...this.said.map((each) => this.once(each)),
        ].filter(Boolean));
    }

    lost(link) {
        const what = fleet.hello ? "The page's server does not answer." : "There is no answer from the page's server.";
        const old = fleet.hello ? "What you see is what was last known." : "Is limpet page still running?";
        return el(
            "div", { class: "notice bad" },
            el("p", {}, el("strong", { text: link.text || what }), " ", old, " It is tried again ",
                el("span", { "data-until": link.until, "aria-hidden": "true", text: wait(link.until) }), "."),
            button("Try now", again),
        );
    }

    once(each) {
        return el(
            "div", { class: `notice ${each.weight === "bad" ? "bad" : ""}` },
            el("p", { text: each.text }),
            button("Dismiss", () => {
                this.said = this.said.filter((other) => other !== each);
                this.draw();
            }),
        );
    }

    turn(card) {
        if (!this.turned.size) setTimeout(() => this.speak(), SPEAK_MS);
        this.turned.set(card.id, card.state);
    }

    speak() {
        const turned = [...this.turned];
        this.turned.clear();
        const named = turned.slice(0, NAMED).map(([id, state]) => `${id} is ${state}`);
        const more = turned.length - named.length;
        this.spoken.textContent = named.join(", ") + (more ? `, and ${plural(more, "other")} changed` : "");
    }
}

function wait(until) {
    const left = Math.ceil((until - Date.now()) / 1000);
    return left > 0 ? `in ${span(left)}` : "now";
}

function away(broker) {
    const since = broker.since
        ? [" It went away ", el("span", { "data-since": broker.since, "aria-hidden": "true", text: ago(broker.since, now()) }), "."]
        : [];
    return el(
        "div", { class: "notice bad" },
        el("p", {}, el("strong", { text: `The broker${broker.at ? ` at ${broker.at}` : ""} is away.` }), ...since,
            ` The nodes keep their Readings meanwhile, and send them when it is back.${broker.text ? ` (${broker.text})` : ""}`),
    );
}
