// The page: which view is shown, and what holds for all of them: notices, keys, the title.

import { begin, want } from "./connection.js";
import { el } from "./dom.js";
import { FleetView } from "./fleet_view.js";
import { Header } from "./header.js";
import { Login } from "./login.js";
import { NodeView } from "./node_view.js";
import { Notices } from "./notices.js";
import { changed, fleet, on } from "./state.js";
import { TopicsView } from "./topics_view.js";

const main = document.getElementById("main");
const header = new Header(document.getElementById("top"));
new Notices(document.getElementById("notices"), document.getElementById("spoken"));
let view = null;
let shown = "";
let settled = false;

/** What the address asks for: {name, id}. */
function asked() {
    const [name = "", id = ""] = location.hash.replace(/^#\/?/, "").split("/");
    if (name === "node" && id) {
        try {
            return { name, id: decodeURIComponent(id) };
        } catch {
            return { name: "cards", id: "" };
        }
    }
    return { name: ["table", "topics"].includes(name) ? name : "cards", id: "" };
}

function made({ name, id }) {
    if (fleet.link.state === "login") return new Login();
    if (!fleet.loaded && !fleet.hello) return null;
    if (name === "node") return new NodeView(id);
    if (name === "topics") return new TopicsView();
    return new FleetView(name);
}

function route() {
    const what = asked();
    const login = fleet.link.state === "login";
    const key = login ? "login" : fleet.hello ? `${what.name}/${what.id}` : "";
    if (key === shown) return;
    const first = shown === "";
    shown = key;
    view?.end();
    view = made(what);
    header.at(login ? "login" : what.name);
    document.body.dataset.view = login ? "login" : what.name;
    want({ watch: !login && what.name === "node" ? what.id : null, topics: what.name === "topics" });
    main.replaceChildren(view?.element ?? el("p", { class: "page-waits", text: "Connecting …" }));
    view?.begin?.();
    if (!first) {
        scrollTo(0, view?.top ?? 0);
        if (!login) main.focus({ preventScroll: true });
    }
    title();
}

function title() {
    const what = asked();
    const name = fleet.hello?.fleet || "Limpet";
    document.title = what.name === "node" ? `${what.id} · ${name}` : name;
}

/** The demo has one node and levers: that is what its page begins with. */
function settle() {
    if (settled || !fleet.loaded) return;
    settled = true;
    if (fleet.levers && !location.hash) {
        const id = fleet.scene?.id ?? (fleet.cards.size === 1 ? [...fleet.cards.keys()][0] : null);
        if (id) location.replace(`#/node/${encodeURIComponent(id)}`);
    }
}

addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        if (header.search()) event.preventDefault();
    }
    if (event.key === "Escape" && !typing && asked().name === "node") location.hash = header.back;
});
on("link", route);
on("hello", () => {
    route();
    title();
});
on("cards", settle);
addEventListener("limpet-theme", () => changed("theme"));
begin();
