// The head of the page: whose fleet, is the broker there, which view; light or dark; who is logged in.

import { ask, leave } from "./connection.js";
import { button, el, icon, mark, say, show, svg } from "./dom.js";
import { fleet, on, operates, stale } from "./state.js";

const VIEWS = [["cards", "Cards"], ["table", "Table"], ["topics", "Topics"]];
const MOON = "M19.5 14.5A8.5 8.5 0 0 1 9.5 4.5a8.5 8.5 0 1 0 10 10z";
const SUN = "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z M12 2v2 M12 20v2 M2 12h2 M20 12h2 M5 5l1.4 1.4 M17.6 17.6 19 19 M5 19l1.4-1.4 M17.6 6.4 19 5";

function logo() {
    return svg(
        "svg", { viewBox: "0 0 32 32", class: "logo", "aria-hidden": "true", focusable: "false" },
        svg("path", { d: "M3 25C6 15 11 6 16 6s10 9 13 19z", class: "shell" }),
        svg("path", { d: "M16 6 9.5 25M16 6v19M16 6l6.5 19", class: "ribs" }),
        svg("path", { d: "M2 26.5h28", class: "rock" }),
    );
}

export class Header {
    constructor(place) {
        this.back = "#/";
        this.name = el("span", { class: "fleet-name", text: "Limpet" });
        this.broker = el("span", { class: "broker" });
        this.rights = el("span", { class: "rights", title: "You may look, and change nothing." , text: "read-only" });
        this.theme = el("button", { type: "button", class: "round", onclick: () => globalThis.limpetTheme.toggle() });
        this.out = button("Log out", () => this.logOut(), { class: "quiet" });
        this.links = new Map(VIEWS.map(([view, text]) => [view, el("a", { href: view === "cards" ? "#/" : `#/${view}`, text })]));
        this.nav = el("nav", { class: "segmented", "aria-label": "Views" }, ...this.links.values());
        place.append(
            el("a", { href: "#/", class: "home", title: "All nodes" }, logo(), el("h1", {}, this.name)),
            this.nav,
            el("div", { class: "right" }, this.broker, this.rights, this.out, this.theme),
        );
        for (const kind of ["hello", "session", "link", "broker"]) on(kind, () => this.draw());
        on("theme", () => this.drawTheme());
        this.draw();
        this.drawTheme();
    }

    /** Which view is shown: its link is the current one, and where Escape leads to. */
    at(name) {
        for (const [view, link] of this.links) mark(link, "aria-current", view === name ? "page" : null);
        if (name !== "node" && name !== "login") this.back = name === "cards" ? "#/" : `#/${name}`;
        show(this.nav, name !== "login");
    }

    /** Go to the search field; false where this view has none. */
    search() {
        const field = document.querySelector("input[type=search]");
        field?.focus();
        field?.select();
        return Boolean(field);
    }

    async logOut() {
        try {
            await ask("/logout", {});
        } catch {
            // Who is out already cannot leave.
        }
        leave();
    }

    draw() {
        say(this.name, fleet.hello?.fleet || "Limpet");
        const live = fleet.link.state === "live";
        const up = live && fleet.broker?.up;
        const text = !live ? { connecting: "connecting", login: "", lost: "no server" }[fleet.link.state] : up ? "broker" : "no broker";
        say(this.broker, text ?? "");
        mark(document.body, "data-stale", stale() ? "" : null);
        this.broker.className = `broker ${up ? "up" : live || fleet.link.state === "lost" ? "down" : "wait"}`;
        mark(this.broker, "title", fleet.broker?.at ? `${fleet.broker.at}${fleet.broker.text ? `: ${fleet.broker.text}` : ""}` : null);
        show(this.broker, Boolean(text));
        show(this.rights, live && !operates());
        show(this.out, Boolean(fleet.session.user));
    }

    drawTheme() {
        const dark = globalThis.limpetTheme.dark();
        mark(this.theme, "aria-label", dark ? "Light colours" : "Dark colours");
        mark(this.theme, "title", dark ? "Light colours" : "Dark colours");
        this.theme.replaceChildren(icon(dark ? SUN : MOON));
    }
}
