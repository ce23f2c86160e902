// What the page knows, and who is told of changes. Kept as the server says it, drawn elsewhere.

export const fleet = {
    session: { user: null, login: false, rights: "read", csrf: "" },
    hello: null,
    link: { state: "connecting", text: "", until: 0 },
    broker: null,
    cards: new Map(),
    loaded: false,
    levers: null,
    scene: null,
    skew: 0,
};

const SPARK = 40;
const listeners = new Map();
const dirty = new Set();
let frame = 0;

/** The server's clock, Unix seconds. */
export function now() {
    return Date.now() / 1000 + fleet.skew;
}

/** Whether what is shown cannot be up to date: there is no broker, or no server. */
export function stale() {
    return fleet.link.state === "lost" || Boolean(fleet.broker && !fleet.broker.up);
}

/** Whether this browser may change something. */
export function operates() {
    return fleet.session.rights === "operate" || fleet.hello?.rights === "operate";
}

/** How many Readings wait on a device, by the demo's own log; undefined where only its health can tell. */
export function waitingOn(id) {
    return fleet.scene?.id === id ? fleet.scene.waiting : undefined;
}

/** The unit of a field, "" where it has none; outdoor_temperature is in that of temperature. */
export function unit(field) {
    const units = fleet.hello?.units ?? {};
    const name = field.slice(field.lastIndexOf("_") + 1);
    return [field, name].filter((each) => Object.hasOwn(units, each)).map((each) => units[each])[0] ?? "";
}

/** Call `heard` with what is told of `kind`; returns what ends that. */
export function on(kind, heard) {
    if (!listeners.has(kind)) listeners.set(kind, new Set());
    listeners.get(kind).add(heard);
    return () => listeners.get(kind).delete(heard);
}

/** Tell at once, with what it is about. */
export function tell(kind, about) {
    for (const heard of [...(listeners.get(kind) ?? [])]) heard(about);
}

/** Tell with the next frame that is drawn, once, however often it was changed till then. */
export function changed(kind) {
    dirty.add(kind);
    frame ||= requestAnimationFrame(() => {
        frame = 0;
        const kinds = [...dirty];
        dirty.clear();
        for (const each of kinds) tell(each);
    });
}

let coming = null;

/** Take a frame {"t":"cards"}: the whole list in pieces, or those that changed. */
export function takeCards(message) {
    if (message.all && coming === null) coming = new Map();
    const into = message.all ? coming : fleet.cards;
    for (const card of message.cards) {
        const before = fleet.cards.get(card.id);
        card.spark ??= sparkOf(before, card);
        into.set(card.id, card);
        if (before && before.state !== card.state) tell("turned", card);
    }
    if (message.all && message.last) {
        fleet.cards = coming;
        coming = null;
        fleet.loaded = true;
    }
    changed("cards");
}

/** A new connection: a list that was cut short is none. */
export function beginAnew() {
    coming = null;
}

function sparkOf(before, card) {
    const spark = before?.spark ?? [];
    const value = Object.values(card.values ?? {})[0];
    const last = spark.at(-1);
    if (typeof value !== "number" || !card.ts || (last && last[0] >= card.ts)) return spark;
    return [...spark.slice(1 - SPARK), [card.ts, value]];
}

export function takeGone(ids) {
    for (const id of ids) fleet.cards.delete(id);
    changed("cards");
}
