// Elements out of values. Text from devices goes through here alone: as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(made, props, children) {
    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
        else if (name === "text") made.textContent = value;
        else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
    return made;
}

/** An element with attributes; `onclick` and its like are listeners, `text` is its text. */
export function el(tag, props, ...children) {
    return fill(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function svg(tag, props, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
}

/** Set the text of an element where it differs: an unchanged one costs no layout. */
export function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute where it differs; null removes it. */
export function mark(element, name, value) {
    if (value === null || value === undefined || value === false) {
        if (element.hasAttribute(name)) element.removeAttribute(name);
    } else if (element.getAttribute(name) !== String(value)) {
        element.setAttribute(name, value);
    }
}

export function show(element, whether) {
    if (element.hidden === whether) element.hidden = !whether;
}

/** A button that does something. */
export function button(text, onclick, props) {
    return el("button", { type: "button", onclick, text, ...props });
}

/** A line icon, 24 by 24: one path. */
export function icon(path, props) {
    return svg(
        "svg",
        { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false", ...props },
        svg("path", { d: path }),
    );
}
