// What the clients that come over HTTP have in common. Their only argument is a JSON
// object: service (a URL), domain, password, and ana and bo, who are users there. Each
// event is one line on standard output; the last line is "done".

import net from "node:net";
import ws from "ws";

// Node has none, or one that trusts no other CA. As in a browser, each message has its turn.
globalThis.WebSocket = class extends ws {
  constructor(url, protocols) {
    super(url, protocols, { allowSynchronousEvents: false });
  }
};

export const args = JSON.parse(process.argv[2]);
export const say = (...words) => console.log(words.join(" "));

const PATIENCE = 20_000;

export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`no ${what} in time`)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function main(run) {
  try {
    await run();
    say("done");
    process.exit(0);
  } catch (e) {
    console.error(e.stack ?? e);
    process.exit(1);
  }
}

// Inbox has what has come and nobody has taken.
export class Inbox {
  items = [];
  #waiting = [];

  push(item) {
    const i = this.#waiting.findIndex((w) => w.match(item));
    if (i < 0) this.items.push(item);
    else this.#waiting.splice(i, 1)[0].resolve(item);
  }

  next(what, match = () => true) {
    const i = this.items.findIndex(match);
    if (i >= 0) return Promise.resolve(this.items.splice(i, 1)[0]);
    return within(new Promise((resolve) => this.#waiting.push({ match, resolve })), what);
  }

  // Exactly these have come, in this order, and nothing else has.
  async expect(list) {
    for (const want of list) {
      const got = await this.next(`message ${want.slice(0, 40)}`);
      if (got !== want) throw new Error(`got the message ${got}, want ${want}`);
    }
    if (this.items.length > 0) throw new Error(`got besides: ${this.items}`);
  }
}

// bodies returns texts that are not the same twice.
export function bodies(who, n) {
  const kinds = ["plain", "<&>'\" ]]>", "grüße 🚢 \u00a0 مرحبا \u200f", "two\nlines\tand a tab", "x".repeat(4000)];
  return Array.from({ length: n }, (_, i) => `${who} ${i} ${kinds[i % kinds.length]}`);
}

// Tap passes connections on to where a URL points. Its own URL points to it.
export class Tap {
  #sockets = new Set();
  #deaf = false;

  static async to(url) {
    const tap = new Tap();
    const { hostname, port } = new URL(url);
    const server = net.createServer((inside) => {
      const outside = net.connect(port, hostname);
      for (const [from, to, back] of [[inside, outside, false], [outside, inside, true]]) {
        tap.#sockets.add(from);
        from.on("data", (d) => (back && tap.#deaf) || to.write(d));
        from.on("error", () => {});
        from.on("close", () => {
          tap.#sockets.delete(from);
          to.destroy();
        });
      }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    tap.url = url.replace(`:${port}`, `:${server.address().port}`);
    return tap;
  }

  // lose loses what the server says from now on, until cut.
  lose() {
    this.#deaf = true;
  }

  // cut ends all connections without a word.
  cut() {
    for (const s of this.#sockets) s.destroy();
    this.#deaf = false;
  }
}
