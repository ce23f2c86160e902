// A long list of which only what can be seen is in the document: rows of one height, in the page's own scrolling.

const OVERSCAN = 2;

/** Shows `items` (array) inside `body`, between two spacers that stand for what is not there.

    make() -> element; update(element, item); key(item); columns() -> how many stand in a row;
    rowHeight() -> px, gaps included. moved: called when the page was scrolled; it has `set` called with the next
    frame, once, as each drawing asks the browser for a layout. Elements are used again. */
export class Windowed {
    constructor({ body, before, after, make, update, key, columns, rowHeight, moved }) {
        Object.assign(this, { body, before, after, make, update, key, columns, rowHeight, moved });
        this.items = [];
        this.there = new Map();
    }

    begin() {
        addEventListener("scroll", this.moved, { passive: true });
        addEventListener("resize", this.moved, { passive: true });
    }

    end() {
        removeEventListener("scroll", this.moved);
        removeEventListener("resize", this.moved);
    }

    set(items) {
        this.items = items;
        this.draw();
    }

    draw() {
        const columns = this.columns();
        const height = this.rowHeight();
        const rows = Math.ceil(this.items.length / columns);
        const top = this.before.getBoundingClientRect().top;
        const first = clamp(Math.floor(-top / height) - OVERSCAN, rows);
        const last = clamp(Math.ceil((innerHeight - top) / height) + OVERSCAN, rows);
        this.before.style.height = `${first * height}px`;
        this.after.style.height = `${(rows - last) * height}px`;
        const shown = this.items.slice(first * columns, last * columns);
        const keys = new Set(shown.map(this.key));
        // What went out of sight is used again for what comes into it: to make an element costs more.
        const spare = [];
        for (const [key, element] of this.there) {
            // What has the focus stays until it has lost it: nobody is thrown to the top of the page.
            if (!keys.has(key) && element.contains(document.activeElement) && !this.gone(key)) keys.add(key);
            else if (!keys.has(key)) {
                this.there.delete(key);
                spare.push(element);
            }
        }
        let place = this.body.firstElementChild;
        for (const [offset, item] of shown.entries()) {
            const key = this.key(item);
            let element = this.there.get(key);
            if (!element) {
                element = spare.pop() ?? this.make();
                this.there.set(key, element);
            }
            if (element === place) place = place.nextElementSibling;
            else this.body.insertBefore(element, place);
            this.update(element, item, first * columns + offset, this.items.length);
        }
        for (const element of spare) element.remove();
    }

    gone(key) {
        return !this.items.some((item) => this.key(item) === key);
    }

    /** Bring item number `index` into sight and return its element. */
    reveal(index) {
        const item = this.items[index];
        if (item === undefined) return null;
        const height = this.rowHeight();
        const row = Math.floor(index / this.columns());
        const y = this.before.getBoundingClientRect().top + row * height;
        const head = document.getElementById("top").offsetHeight + 8;
        if (y < head) scrollBy(0, y - head);
        else if (y + height > innerHeight) scrollBy(0, y + height - innerHeight);
        this.draw();
        return this.there.get(this.key(item)) ?? null;
    }
}

function clamp(value, most) {
    return Math.max(0, Math.min(value, most));
}
