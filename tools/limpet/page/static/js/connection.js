// The WebSocket: opened, lost, tried again ever more rarely; and what HTTP is used for.

import { beginAnew, changed, fleet, takeCards, takeGone, tell } from "./state.js";

const FIRST_S = 1;
const MOST_S = 30;
// The server closes with this code when a session has ended: there is a login to show.
const ENDED = 4401;
const wanted = { watch: null, topics: false };
let socket = null;
let failed = 0;
let timer = 0;

/** What the server answers with a code of 400 and above. */
export class Refused extends Error {
    constructor(status, said) {
        super(said.error ?? "The server refused this.");
        this.status = status;
        this.remedy = said.remedy ?? "";
    }
}

/** Ask the server over HTTP; raises Refused, or TypeError where there is no server. */
export async function ask(path, body) {
    const options = body === undefined ? {} : {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Limpet-CSRF": fleet.session.csrf },
        body: JSON.stringify(body),
    };
    const answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
    const text = await answer.text();
    let said = {};
    try {
        said = text ? JSON.parse(text) : {};
    } catch {
        // A proxy's page, say: the code tells enough.
    }
    if (!answer.ok) throw new Refused(answer.status, said);
    return said;
}

/** Words for an error of `ask`. */
export function why(error) {
    if (error instanceof Refused) return [error.message, error.remedy].filter(Boolean).join(" ");
    return "The server cannot be reached. It is tried again by itself.";
}

/** Tell the server what this page shows: one device in detail, the topics. */
export function want(what) {
    Object.assign(wanted, what);
    if (socket?.readyState === WebSocket.OPEN) {
        if ("watch" in what) send({ t: "watch", id: what.watch });
        if ("topics" in what) send({ t: "topics", on: what.topics });
    }
}

function send(message) {
    socket.send(JSON.stringify(message));
}

function link(state, text = "", until = 0) {
    fleet.link = { state, text, until };
    changed("link");
}

/** Open the page: who is this, and then what goes on. */
export async function begin() {
    clearTimeout(timer);
    if (fleet.link.state !== "live") link("connecting");
    try {
        fleet.session = await ask("/api/session");
    } catch (error) {
        if (error.status === 401) {
            fleet.session = { user: null, login: true, rights: "read", csrf: "" };
        } else {
            later(error instanceof Refused ? why(error) : "");
            return;
        }
    }
    changed("session");
    if (fleet.session.login && !fleet.session.user) link("login");
    else open();
}

function open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const mine = new WebSocket(`${scheme}//${location.host}/live`);
    socket = mine;
    let greeted = false;
    mine.onmessage = (event) => {
        if (!greeted) {
            greeted = true;
            failed = 0;
            beginAnew();
            link("live");
        }
        let message = null;
        try {
            message = JSON.parse(event.data);
        } catch {
            return;
        }
        take(message);
    };
    mine.onopen = () => {
        if (wanted.watch !== null) send({ t: "watch", id: wanted.watch });
        if (wanted.topics) send({ t: "topics", on: true });
    };
    mine.onclose = (event) => {
        if (socket !== mine) return;
        if (event.code === ENDED) begin();
        else later(event.reason);
    };
}

/** Try again later: 1, 2, 4, up to 30 s, each by chance up to a quarter shorter, as many may wait. */
function later(reason) {
    socket = null;
    const wait = Math.min(FIRST_S * 2 ** Math.min(failed, 10), MOST_S) * (1 - Math.random() / 4);
    failed += 1;
    link("lost", reason, Date.now() + wait * 1000);
    timer = setTimeout(begin, wait * 1000);
}

/** Try now: somebody asked for it. */
export function again() {
    failed = 0;
    begin();
}

/** Leave: after a log-out. */
export function leave() {
    const old = socket;
    socket = null;
    old?.close();
    fleet.cards = new Map();
    fleet.loaded = false;
    fleet.hello = null;
    changed("cards");
    begin();
}

addEventListener("online", () => fleet.link.state === "lost" && again());

const TAKEN = {
    hello(message) {
        fleet.hello = message;
        fleet.skew = message.now - Date.now() / 1000;
        fleet.broker = message.broker;
        fleet.levers = message.levers ?? null;
        fleet.scene = message.scene ?? null;
        changed("hello");
        changed("broker");
        changed("levers");
    },
    cards: takeCards,
    gone: (message) => takeGone(message.ids),
    broker(message) {
        fleet.broker = message;
        changed("broker");
    },
    levers(message) {
        fleet.levers = message.levers;
        if (message.scene !== undefined) fleet.scene = message.scene;
        changed("levers");
    },
    scene(message) {
        fleet.scene = message;
        changed("scene");
    },
};

function take(message) {
    if (Object.hasOwn(TAKEN, message.t)) TAKEN[message.t](message);
    else tell(message.t, message);
}
