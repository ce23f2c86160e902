// Light or dark, before anything is painted: what was chosen here once, else what the system says.
// No module, so that nothing flashes in the other one.
"use strict";
(() => {
    const KEY = "limpet-theme";
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    let chosen = null;
    try {
        chosen = localStorage.getItem(KEY);
    } catch {
        // A browser may refuse to remember; then it follows the system.
    }

    function dark() {
        return root.dataset.theme === "dark";
    }

    function show() {
        root.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
        dispatchEvent(new Event("limpet-theme"));
    }

    function toggle() {
        chosen = dark() ? "light" : "dark";
        try {
            localStorage.setItem(KEY, chosen);
        } catch {
            // As above.
        }
        show();
    }

    system.addEventListener("change", show);
    show();
    globalThis.limpetTheme = { dark, toggle };
})();
