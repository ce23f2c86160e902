// One device: its charts, what it says of itself, Commands, and the demo's levers where there are some.

import { updateState } from "./card.js";
import { Charts } from "./charts.js";
import { Commands } from "./commands.js";
import { el, say, show } from "./dom.js";
import { Events } from "./events.js";
import { Facts, Settings, Update } from "./facts.js";
import { ago, moment, span, words } from "./format.js";
import { Health } from "./health.js";
import { Levers } from "./levers.js";
import { fleet, now, on, stale, waitingOn } from "./state.js";

export class NodeView {
    constructor(id) {
        this.id = id;
        this.node = null;
        this.charts = new Charts(id);
        this.health = new Health(id);
        this.commands = new Commands(id);
        this.facts = new Facts();
        this.settings = new Settings();
        this.update = new Update();
        this.events = new Events(id);
        this.levers = null;
        this.badge = el("span", { class: "badge" });
        this.since = el("span", { class: "since" });
        this.place = el("span", { class: "place" });
        this.alerts = el("ul", { class: "alerts", "aria-label": "Alerts" });
        this.unknown = el("p", { class: "none", hidden: true });
        this.aside = el("aside", { class: "levers-place", hidden: true, "aria-label": "Levers of the demo" });
        this.element = el(
            "section", { class: "node", "aria-labelledby": "node-head" },
            el("div", { class: "node-head" },
                el("a", { href: "#/", class: "back", "aria-label": "All nodes" }, "‹"),
                el("h2", { id: "node-head", text: id }), this.badge, this.since, this.place, this.alerts),
            this.unknown,
            this.whole = el("div", { class: "node-whole" },
                el("div", { class: "node-main" }, this.charts.element,
                    el("div", { class: "panels" }, this.commands.element, this.facts.element, this.health.element, this.update.element, this.settings.element, this.events.element)),
                this.aside),
        );
        this.ends = [
            on("cards", () => this.draw()),
            on("levers", () => this.drawLevers()),
            on("scene", () => this.draw()),
            on("node", (message) => message.id === id && this.take(message)),
        ];
        this.timer = setInterval(() => this.draw(), 1000);
    }

    begin() {
        this.drawLevers();
        this.draw();
        this.charts.begin();
    }

    end() {
        clearInterval(this.timer);
        for (const each of [...this.ends]) each();
        for (const each of [this.charts, this.health, this.commands, this.events, this.levers]) each?.end();
    }

    take(message) {
        this.node = message;
        this.charts.interval = message.interval_s ?? message.health?.interval_s ?? 0;
        this.health.take(message);
        this.settings.draw(message);
        this.update.draw(message);
        this.draw();
    }

    drawLevers() {
        const wanted = Boolean(fleet.levers?.length) && (!fleet.scene?.id || fleet.scene.id === this.id);
        show(this.aside, wanted);
        this.element.classList.toggle("with-levers", wanted);
        if (wanted && !this.levers) {
            this.levers = new Levers(this.id);
            this.aside.replaceChildren(this.levers.element);
            this.charts.short();
        }
    }

    draw() {
        const card = fleet.cards.get(this.id);
        const there = Boolean(card) || !fleet.loaded;
        show(this.unknown, !there);
        show(this.whole, there);
        say(this.unknown, there ? "" : `There is no ${this.id} in this fleet (any more).`);
        if (!card) return;
        updateState(this.badge, card.state);
        say(this.since, sinceText(card));
        say(this.place, (card.place ?? []).filter(Boolean).join(" / "));
        this.drawAlerts(card.alerts ?? []);
        this.facts.draw(card, this.node, waitingOn(this.id));
        this.charts.take(card);
    }

    drawAlerts(alerts) {
        show(this.alerts, alerts.length > 0);
        const key = JSON.stringify(alerts);
        if (key === this.alertsKey) return;
        this.alertsKey = key;
        this.alerts.replaceChildren(...alerts.map((each) => el(
            "li", {}, el("strong", { text: words(each.name) }), each.reason ? ` ${words(each.reason)}` : "", each.since ? ` since ${moment(each.since, now(), false)}` : "",
        )));
    }
}

function sinceText(card) {
    if (stale()) return card.seen ? `as of ${moment(card.seen, now())}` : "never heard";
    const reason = card.state === "offline" && card.reason ? `: ${words(card.reason)}` : "";
    const since = card.since ? `for ${span(now() - card.since)}` : "";
    const seen = card.state === "online" ? "" : `${card.seen ? "heard " : ""}${ago(card.seen, now())}`;
    return [`${since}${reason}`, seen].filter(Boolean).join(", ");
}
