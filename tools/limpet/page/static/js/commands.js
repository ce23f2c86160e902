// Commands as buttons, each with a form of its parameters; and their Responses.

import { ask, why } from "./connection.js";
import { button, el } from "./dom.js";
import { moment, own, plain, took, words } from "./format.js";
import { fleet, now, on, operates } from "./state.js";

const RESTARTS = new Set(["reboot", "reset", "update"]);
const KEPT = 5;
const SAID = {
    executed: ["good", "done"], rejected: ["bad", "rejected"], failed: ["bad", "failed"], expired: ["bad", "came too late"], silent: ["bad", "no Response"],
};

export class Commands {
    constructor(id) {
        this.id = id;
        this.answers = new Map();
        this.list = el("ol", { class: "answers", "aria-live": "polite", "aria-label": "Responses" });
        this.form = el("div", { class: "command-form" });
        this.buttons = el("div", { class: "command-buttons" });
        this.element = el("section", { class: "panel commands", "aria-labelledby": "commands-head" }, el("h3", { id: "commands-head", text: "Commands" }), this.buttons, this.form, this.list);
        this.ends = [on("hello", () => this.draw()), on("response", (message) => this.took(message))];
        this.draw();
    }

    end() {
        for (const each of this.ends) each();
    }

    draw() {
        const actions = fleet.hello?.actions ?? [];
        if (!operates()) {
            this.buttons.replaceChildren(el("p", { class: "soft", text: "You may look here, and change nothing: this page was started read-only." }));
            return;
        }
        this.buttons.replaceChildren(...actions.map((action) => button(words(action.action), () => this.begin(action), { title: action.text, "data-action": action.action })));
    }

    begin(action) {
        const restarts = action.restarts ?? RESTARTS.has(action.action);
        if (!action.params.length && !restarts) {
            this.send(action, {});
            return;
        }
        const fields = action.params.map((each) => field(each));
        const form = el(
            "form", { onsubmit: (event) => this.submit(event, action, fields) },
            el("p", {}, el("strong", { text: words(action.action) }), " ", action.text ?? ""),
            restarts && el("p", { class: "warn", text: `${this.id} restarts. What it has on flash stays, and it is away for some seconds.` }),
            ...fields.map((each) => each.element),
            el("div", { class: "row" }, el("button", { type: "submit", class: restarts ? "danger" : "main", text: restarts ? `Yes, ${words(action.action)}` : "Send" }),
                button("Cancel", () => this.close(action), { class: "quiet" })),
        );
        form.addEventListener("keydown", (event) => {
            if (event.key === "Escape") {
                event.stopPropagation();
                this.close(action);
            }
        });
        this.form.replaceChildren(form);
        form.querySelector("input, select, button")?.focus();
    }

    close(action) {
        this.form.replaceChildren();
        this.buttons.querySelector(`[data-action="${CSS.escape(action.action)}"]`)?.focus();
    }

    submit(event, action, fields) {
        event.preventDefault();
        const params = {};
        for (const { name, value } of fields) {
            const found = value();
            if (found !== undefined) params[name] = found;
        }
        this.send(action, params);
        this.close(action);
    }

    async send(action, params) {
        const text = [words(action.action), ...Object.entries(params).map(([name, value]) => `${name}=${value}`)].join(" ");
        const entry = { text, answer: el("li", {}, el("span", { class: "sent", text }), el("span", { class: "soft", text: "is on its way …" })) };
        this.list.prepend(entry.answer);
        while (this.list.children.length > KEPT) this.list.lastChild.remove();
        try {
            const { request } = await ask(`/api/nodes/${encodeURIComponent(this.id)}/command`, { action: action.action, params });
            this.answers.set(request, entry);
            if (this.early?.request === request) this.took(this.early);
        } catch (error) {
            answer(entry, "bad", "not sent", "", why(error));
        }
    }

    took(message) {
        if (message.id !== this.id) return;
        const entry = this.answers.get(message.request);
        if (!entry) {
            // The Response may come before what HTTP says.
            this.early = message;
            return;
        }
        this.answers.delete(message.request);
        const [weight, word] = own(SAID, message.status) ?? ["", message.status];
        answer(entry, weight, word, took(message.took_ms), [message.code, message.text].filter(Boolean).join(": "), message.result ?? {});
    }
}

function answer(entry, weight, word, time, text, result = {}) {
    const pairs = Object.entries(result).filter(([name]) => name !== "v");

    entry.answer.className = weight;
    entry.answer.replaceChildren(
        el("span", { class: "sent", text: entry.text }), el("strong", { text: word }), el("span", { class: "soft", text: time }), text ? el("span", { class: "result", text }) : "",
        pairs.length
            ? el("dl", { class: "result" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", { text: words(name) }), el("dd", { text: said(name, value) }))))
            : "",
    );
}

function said(name, value) {
    return name === "ts" && typeof value === "number" ? moment(value, now()) : plain(value);
}

/** A field of a form for one parameter, by its type and its limits. */
function field(param) {
    const id = `param-${param.name}`;
    const whole = ["int", "integer", "whole", "whole number"].includes(param.type);
    const isNumber = whole || ["float", "number"].includes(param.type);
    const input = param.type === "bool" || param.type === "boolean"
        ? el("input", { type: "checkbox", id })
        : param.values
            ? el("select", { id }, ...param.values.map((value) => el("option", { value, text: value })))
            : el("input", {
                type: isNumber ? "number" : "text", id, required: param.needed, min: param.least, max: param.most, step: whole ? 1 : "any",
                maxlength: isNumber ? null : 300, value: param.default ?? null,
            });
    const range = [param.least, param.most].every((each) => each !== undefined && each !== null) ? `${param.least} to ${param.most.toLocaleString("en")}` : "";
    const hint = [param.unit, range, param.needed ? "" : "may be left empty", param.text].filter(Boolean).join(", ");
    return {
        name: param.name,
        element: el("p", { class: "field" }, el("label", { for: id, text: words(param.name) }), input, hint && el("small", { text: hint })),
        value() {
            if (input.type === "checkbox") return input.checked;
            if (input.value === "") return undefined;
            return isNumber ? Number(input.value) : input.value;
        },
    };
}

