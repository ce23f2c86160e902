// The demo's levers: what the sensor says, and what goes wrong; and a strip that shows that nothing is lost.

import { ask, why } from "./connection.js";
import { button, el, icon, mark, say, show } from "./dom.js";
import { number, plural } from "./format.js";
import { fleet, on, operates } from "./state.js";

const HINT = "Pull one: each Reading waits on flash, and comes late with its own time.";
const SEND_MS = 150;
const MINE_MS = 1500;
const DOTS = 60;
const POWER = "M12 3v9 M6.6 7.2a7.6 7.6 0 1 0 10.8 0";
const GROUPS = [["sensor", "The sensor"], ["fault", "What goes wrong"]];

export class Levers {
    constructor(id) {
        this.id = id;
        this.strip = new Strip(id);
        this.error = el("p", { class: "error", role: "alert", hidden: true });
        this.help = el("p", { class: "lever-help", "aria-hidden": "true", text: HINT });
        this.groups = new Map(GROUPS.map(([name, text]) => [name, el("div", { class: `lever-group ${name}`, role: "group", "aria-label": text })]));
        this.there = new Map();
        this.element = el(
            "section", { class: "panel levers", "aria-labelledby": "levers-head" },
            el("h3", { id: "levers-head", text: "Make it lose a Reading" }),
            this.strip.element,
            ...GROUPS.flatMap(([name, text]) => [el("h4", { text }), this.groups.get(name)]), this.help, this.error,
        );
        for (const kind of ["pointerover", "focusin"]) this.element.addEventListener(kind, (event) => this.explain(event.target.closest?.("[data-lever]")));
        this.ends = [on("levers", () => this.draw()), on("hello", () => this.draw()), on("cards", () => this.draw())];
        this.draw();
    }

    end() {
        for (const each of this.ends) each();
        this.strip.end();
    }

    draw() {
        for (const lever of fleet.levers ?? []) {
            if (!this.there.has(lever.name)) {
                const made = lever.kind === "slider" ? new Slider(lever, this) : lever.kind === "button" ? new Push(lever, this) : new Switch(lever, this);
                this.there.set(lever.name, made);
                (this.groups.get(lever.group) ?? this.groups.get("fault")).append(made.element);
            }
            this.there.get(lever.name).draw(lever);
        }
    }

    /** Say in words what the lever does that is pointed at, or has the focus. */
    explain(place) {
        const lever = place && fleet.levers?.find((each) => each.name === place.dataset.lever);
        if (lever?.help) say(this.help, lever.help);
    }

    async move(lever, value) {
        show(this.error, false);
        try {
            const { levers } = await ask(`/api/levers/${encodeURIComponent(lever.name)}`, { value });
            if (levers) {
                fleet.levers = levers;
                this.draw();
            }
        } catch (error) {
            say(this.error, why(error));
            show(this.error, true);
        }
    }
}

class Slider {
    constructor(lever, owner) {
        this.owner = owner;
        this.touched = -Infinity;
        const id = `lever-${lever.name}`;
        this.input = el("input", { type: "range", id, min: lever.min, max: lever.max, step: lever.step ?? "any", oninput: () => this.moved() });
        this.output = el("output", { for: id });
        this.free = button("×", () => this.release(), { class: "quiet", title: "Let go: it plays its capture again", "aria-label": `Let go of ${lever.label}` });
        this.element = el("div", { class: "lever slider", "data-lever": lever.name }, el("label", { for: id, text: lever.label }), this.input, this.output, this.free);
        this.lever = lever;
    }

    moved() {
        this.touched = performance.now();
        say(this.output, this.text(Number(this.input.value)));
        this.next ??= setTimeout(() => {
            this.next = null;
            this.owner.move(this.lever, Number(this.input.value));
        }, SEND_MS);
    }

    release() {
        this.touched = -Infinity;
        clearTimeout(this.next);
        this.next = null;
        this.owner.move(this.lever, null);
        this.input.focus();
    }

    text(value) {
        return `${number(value, this.lever.unit)}\u00a0${this.lever.unit ?? ""}`;
    }

    draw(lever) {
        this.lever = lever;
        this.input.disabled = !operates();
        const held = typeof lever.value === "number";
        show(this.free, held && lever.on !== false && operates());
        if (performance.now() - this.touched < MINE_MS) return;
        const said = fleet.cards.get(this.owner.id)?.values?.[lever.field ?? lever.name];
        if (held || typeof said === "number") this.input.value = held ? lever.value : said;
        say(this.output, held ? this.text(lever.value) : "captured");
        mark(this.input, "aria-valuetext", held ? this.text(lever.value) : "as it was captured");
        this.element.classList.toggle("held", held);
    }
}

/** A lever with what it does, for who cannot see the line below them all. */
function described(lever, control) {
    const id = `help-${lever.name}`;
    control.setAttribute("aria-describedby", id);
    return el("div", { class: "lever", "data-lever": lever.name }, control, el("span", { id, class: "unseen-text", text: lever.help ?? "" }));
}

class Switch {
    constructor(lever, owner) {
        this.lever = lever;
        this.button = el(
            "button", { type: "button", role: "switch", "aria-checked": "false", class: "switch", onclick: () => owner.move(this.lever, !this.lever.on) },
            el("span", { class: "knob", "aria-hidden": "true" }), el("b", { text: lever.label }),
        );
        this.element = described(lever, this.button);
    }

    draw(lever) {
        this.lever = lever;
        mark(this.button, "aria-checked", String(Boolean(lever.on)));
        this.button.disabled = !operates();
    }
}

class Push {
    constructor(lever, owner) {
        this.lever = lever;
        this.button = el(
            "button", { type: "button", class: "push", onclick: () => owner.move(this.lever, true) },
            el("span", { class: "bolt" }, icon(POWER)), el("b", { text: lever.label }),
        );
        this.element = described(lever, this.button);
    }

    draw(lever) {
        this.lever = lever;
        this.button.disabled = !operates() || Boolean(lever.on);
    }
}

function ordered(a, b) {
    return a.boot - b.boot || a.seq - b.seq;
}

/** Readings as dots: come live, come late, waiting on flash. */
class Strip {
    constructor(id) {
        this.id = id;
        this.seen = new Map();
        this.late = 0;
        this.figures = new Map(["taken", "waiting", "arrived", "late"].map((name) => [name, el("b", { text: "0" })]));
        const figure = (name, text) => el("div", { class: `figure ${name}` }, this.figures.get(name), el("span", { text }));
        this.dots = el("div", { class: "dots", role: "img" });
        this.text = el("p", { class: "strip-text", role: "status" });
        this.wire = el("div", { class: "wire", "aria-hidden": "true" }, el("span", { text: id }), el("i"), el("span", { text: "broker" }));
        this.element = el(
            "div", { class: "strip" }, this.wire,
            el("div", { class: "figures" }, figure("taken", "taken"), figure("waiting", "on flash"), figure("arrived", "arrived"), figure("late", "came late")),
            this.dots, this.text,
        );
        this.ends = [
            on("readings", (message) => message.id === id && this.take(message)), on("scene", () => this.draw()), on("levers", () => this.draw()),
            on("cards", () => this.draw()),
        ];
        this.draw();
    }

    end() {
        for (const each of this.ends) each();
    }

    take({ rows, late }) {
        for (const [, boot, seq] of rows) {
            const key = `${boot} ${seq}`;
            if (!this.seen.has(key)) {
                this.seen.set(key, { boot, seq, late });
                if (late) this.late += 1;
            }
        }
        if (this.seen.size > 4 * DOTS) this.seen = new Map([...this.seen].sort(([, a], [, b]) => ordered(a, b)).slice(-2 * DOTS));
        this.draw();
    }

    draw() {
        const card = fleet.cards.get(this.id);
        const scene = fleet.scene?.id === undefined || fleet.scene.id === this.id ? fleet.scene : null;
        const waiting = scene?.waiting ?? card?.queued ?? 0;
        const taken = scene?.taken ?? card?.seq ?? 0;
        const arrived = scene?.arrived ?? Math.max(0, taken - waiting);
        const late = scene?.late ?? this.late;
        for (const [name, value] of Object.entries({ taken, waiting, arrived, late })) say(this.figures.get(name), value.toLocaleString("en"));
        const pulled = (fleet.levers ?? []).some((each) => each.group === "fault" && each.on);
        const up = !pulled && (scene?.link ? scene.link === "up" : card?.state === "online");
        this.wire.className = `wire ${up ? "up" : "down"}`;
        say(this.text, this.words(up, waiting, late, scene));
        this.element.classList.toggle("holds", waiting > 1);
        this.drawDots(waiting);
    }

    words(up, waiting, late, scene) {
        if (!up && scene?.link === "up") return "The node has not noticed yet. It goes on measuring.";
        if (!up && waiting) return `No way to the broker: ${plural(waiting, "Reading")} wait${waiting === 1 ? "s" : ""}.`;
        if (!up) return "No way to the broker. It goes on measuring.";
        if (scene?.lost) return `${plural(scene.lost, "Reading")} of the last 2 s before the power was cut ${scene.lost === 1 ? "was" : "were"} lost.`;
        if (waiting > 1) return `The way is open: ${plural(waiting, "Reading")} on the way.`;
        return late ? `All there. ${plural(late, "Reading")} came late, each with its own time.` : "All there. Pull something.";
    }

    /** The last Readings as dots; holes between those that came, and what waits behind them. */
    drawDots(waiting) {
        const dots = [];
        let before = null;
        for (const each of [...this.seen.values()].sort(ordered)) {
            // Another boot counts anew.
            const hole = before && before.boot === each.boot ? each.seq - before.seq - 1 : 0;
            for (let missing = 0; missing < Math.min(hole, DOTS); missing += 1) dots.push("waits");
            dots.push(each.late ? "late" : "live");
            before = each;
        }
        const holes = dots.filter((each) => each === "waits").length;
        for (let more = holes; more < Math.min(waiting, DOTS); more += 1) dots.push("waits");
        const shown = dots.slice(-DOTS);
        while (this.dots.children.length < shown.length) this.dots.append(el("i"));
        while (this.dots.children.length > shown.length) this.dots.lastChild.remove();
        for (const [index, kind] of shown.entries()) {
            const dot = this.dots.children[index];
            if (dot.className !== kind) dot.className = kind;
        }
        const count = (kind) => shown.filter((each) => each === kind).length;
        mark(this.dots, "aria-label", `The last ${shown.length} Readings: ${count("live")} came live, ${count("late")} late, ${count("waits")} wait`);
    }
}
