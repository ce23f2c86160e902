// The form that asks for the password, where the page wants one.

import { ask, begin, why } from "./connection.js";
import { el, show } from "./dom.js";

export class Login {
    constructor() {
        this.field = el("input", { type: "password", id: "password", name: "password", autocomplete: "current-password", required: true });
        this.error = el("p", { class: "error", role: "alert", hidden: true });
        this.button = el("button", { type: "submit", class: "main", text: "Log in" });
        this.element = el(
            "form", { class: "login", onsubmit: (event) => this.submit(event) },
            el("h2", { text: "Log in" }),
            el("p", { class: "soft", text: "This page can be reached from other machines, so it asks who you are." }),
            el("label", { for: "password", text: "Password" }),
            this.field, this.error, this.button,
        );
    }

    begin() {
        this.field.focus();
    }

    async submit(event) {
        event.preventDefault();
        this.button.disabled = true;
        show(this.error, false);
        try {
            await ask("/login", { password: this.field.value });
            await begin();
        } catch (error) {
            this.error.textContent = why(error);
            show(this.error, true);
            this.field.select();
        }
        this.button.disabled = false;
    }

    end() {}
}
