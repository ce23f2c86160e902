// How a device is: a shape, a word and a colour for each state, never the colour alone. The worst first.

import { el, svg } from "./dom.js";

export const STATES = {
    silent: { word: "silent", means: "says it is there, and nothing comes", path: "M12 3 22 20.5H2z M12 9.5v5 M12 17.4v.2" },
    offline: { word: "offline", means: "the broker has lost it, or it said goodbye", path: "M4 4h16v16H4z M8.5 8.5l7 7 M15.5 8.5l-7 7" },
    unseen: { word: "unseen", means: "nothing was ever heard of it", path: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z" },
    asleep: { word: "asleep", means: "sleeps, and has said when it wakes", path: "M19.5 14.5A8.5 8.5 0 0 1 9.5 4.5a8.5 8.5 0 1 0 10 10z" },
    online: { word: "online", means: "there, and saying something", path: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z" },
};

export const ORDER = Object.keys(STATES);

/** Its shape, as an SVG that takes the colour of its state. */
export function shape(state) {
    const known = STATES[state] ? state : "unseen";
    return svg(
        "svg",
        { viewBox: "0 0 24 24", class: `shape shape-${known}`, "aria-hidden": "true", focusable: "false" },
        ...STATES[known].path.split(/ (?=M)/).map((d) => svg("path", { d })),
    );
}

/** Shape and word together. */
export function badge(state, text) {
    return el("span", { class: `badge state-${STATES[state] ? state : "unseen"}` }, shape(state), el("span", { text: text ?? state }));
}
