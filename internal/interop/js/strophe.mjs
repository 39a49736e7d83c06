// Two strophe.js clients, over WebSocket or BOSH as the service's URL says.

import { args, say, main, within, bodies, Inbox, Tap } from "./web.mjs";
import { createRequire } from "node:module";
import { Strophe, $msg, $pres, $iq } from "strophe.js";

// Node has no XMLHttpRequest, and that of others no XML.
globalThis.XMLHttpRequest = class extends createRequire(import.meta.url)("xhr2") {
  get responseXML() {
    return this.responseText ? new DOMParser().parseFromString(this.responseText, "text/xml") : null;
  }
  set responseXML(_) {}
};
Strophe.setLogLevel(Strophe.LogLevel.FATAL);

const { Status } = Strophe;
const BOSH = args.service.startsWith("http");
const names = Object.fromEntries(Object.entries(Status).map(([name, status]) => [status, name]));

// Person is a user with a connection.
class Person {
  messages = new Inbox();
  presence = new Inbox();
  states = new Inbox();

  constructor(user, service, password = args.password, mechanisms = undefined) {
    this.jid = `${user}@${args.domain}/boat`;
    this.password = password;
    this.mechanisms = mechanisms;
    this.open(service);
  }

  open(service) {
    this.service = service;
    this.connection = new Strophe.Connection(service, { enableStreamManagement: !BOSH, mechanisms: this.mechanisms });
    this.connection.maxRetries = 10;
    this.connection.rawInput = (xml) => args.verbose && console.error(`${this.jid} < ${xml.slice(0, 300)}`);
    this.connection.rawOutput = (xml) => args.verbose && console.error(`${this.jid} > ${xml.slice(0, 300)}`);
  }

  changed = (status, why) => {
    args.verbose && console.error(`${this.jid} ${names[status]} ${why ?? ""}`);
    if ([Status.CONNECTED, Status.ATTACHED].includes(status)) this.#listen(); // what comes next may be a message
    this.states.push({ status, why });
  };

  #listen() {
    this.connection.addHandler((s) => {
      const body = s.getElementsByTagName("body")[0];
      this.messages.push(s.getAttribute("type") === "error" ? `error ${Strophe.serialize(s)}` : (body?.textContent ?? ""));
      return true;
    }, null, "message");
    this.connection.addHandler((s) => {
      this.presence.push(s);
      return true;
    }, null, "presence");
  }

  // until waits for a state, and fails at one that ends the connection.
  async until(want) {
    for (;;) {
      const { status, why } = await this.states.next(`state ${names[want]} of ${this.jid}`);
      if (status === want) return why;
      if ([Status.CONNFAIL, Status.AUTHFAIL, Status.ERROR].includes(status)) throw new Error(`${this.jid}: ${names[status]} ${why}`);
    }
  }

  // come logs in, and returns whether a session was resumed.
  async come() {
    this.connection.connect(this.jid, this.password, this.changed);
    await this.until(Status.CONNECTED);
    if (this.connection.jid !== this.jid) throw new Error(`bound ${this.connection.jid}`);
    if (this.connection.hasResumed()) return true;
    this.connection.send($pres());
    return false;
  }

  async leave() {
    this.connection.disconnect("bye");
    await this.until(Status.DISCONNECTED);
    this.states = new Inbox();
  }

  say(to, body) {
    this.connection.send($msg({ to, type: "chat" }).c("body").t(body));
  }

  ping() {
    return within(new Promise((resolve, reject) => {
      const refuse = (s) => reject(new Error(`ping: ${s && Strophe.serialize(s)}`));
      this.connection.sendIQ($iq({ type: "get", to: args.domain }).c("ping", { xmlns: "urn:xmpp:ping" }), resolve, refuse);
    }), "pong");
  }
}

async function talk(ana, bo, n) {
  const there = bodies("ana", n);
  const back = bodies("bo", n);
  for (let i = 0; i < n; i++) {
    ana.say(bo.jid, there[i]);
    bo.say(ana.jid, back[i]);
    if (i % 10 === 9) await new Promise(setImmediate);
  }
  await bo.messages.expect(there);
  await ana.messages.expect(back);
  say("messages", n);
}

// The connection is cut while something is under way in both directions.
async function cut(tap, ana, bo) {
  tap.lose();
  const lost = bodies("lost", 3);
  for (const body of lost) ana.say(bo.jid, body);
  await bo.messages.expect(lost);
  const missed = bodies("missed", 5);
  bo.say(ana.jid, missed[0]);
  await bo.ping();
  tap.cut();
  for (const body of missed.slice(1)) bo.say(ana.jid, body);
  if (!BOSH) {
    await ana.until(Status.DISCONNECTED);
    if (!(await ana.come())) throw new Error("the session was not resumed");
  }
  await ana.messages.expect(missed);
  await ana.ping();
  await bo.ping();
  await bo.messages.expect([]);
  say("replayed");
}

// held waits until nothing but an empty request is under way, and returns its number.
async function held({ connection }) {
  for (;;) {
    const { _requests } = connection._proto;
    if (connection._data.length === 0 && _requests.length === 1 && _requests[0].xmlData.childNodes.length === 0) return _requests[0].rid;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Another page takes the session over, as after a reload. It asks once more what the
// page before it has asked last, or goes on after that.
async function attach(ana, bo) {
  for (const again of [true, false]) {
    const rid = await within(held(ana), "held request");
    const { sid } = ana.connection._proto;
    ana.connection.pause();
    ana.connection._proto._abortAllRequests();
    const missed = bodies("meanwhile", 3);
    if (again) for (const body of missed) bo.say(ana.jid, body);
    if (again) await bo.ping();
    ana.open(ana.service);
    ana.connection.attach(ana.jid, sid, again ? rid : rid + 1, ana.changed, 60, 1, 2);
    await ana.until(Status.ATTACHED);
    if (!again) await ana.ping();
    if (!again) for (const body of missed) bo.say(ana.jid, body);
    await ana.messages.expect(missed);
    await talk(ana, bo, 5);
  }
  say("attached");
}

const mechanisms = {
  OAUTHBEARER: Strophe.SASLOAuthBearer,
  PLAIN: Strophe.SASLPlain,
  "SCRAM-SHA-1": Strophe.SASLSHA1,
  "SCRAM-SHA-256": Strophe.SASLSHA256,
  "SCRAM-SHA-512": Strophe.SASLSHA512,
  "X-OAUTH2": Strophe.SASLXOAuth2,
};

// login logs in by one mechanism alone.
async function login() {
  const ana = new Person(args.ana, args.service, args.password, [mechanisms[args.mechanism]]);
  await ana.come();
  await ana.ping();
  say("bound", ana.jid);
  await ana.leave();
}

async function wrong() {
  const ana = new Person(args.ana, args.service, "wrong");
  ana.connection.connect(ana.jid, ana.password, ana.changed);
  for (;;) {
    const { status, why } = await ana.states.next("refusal");
    if (status === Status.CONNECTED) throw new Error("anything goes");
    if (status === Status.AUTHFAIL) return say("refused", why);
  }
}

main(async () => {
  if (args.mechanism) return login();
  await wrong();
  const tap = await Tap.to(args.service);
  const ana = new Person(args.ana, tap.url);
  const bo = new Person(args.bo, args.service);
  await Promise.all([ana.come(), bo.come()]);
  say("bound", ana.jid, bo.jid, ana.connection._sasl_mechanism?.mechname);
  await talk(ana, bo, 50);
  if (!args.unbroken) await cut(tap, ana, bo);
  if (!args.unbroken && BOSH) await attach(ana, bo);
  ana.connection.send($pres({ to: bo.jid }));
  await bo.presence.next("presence of ana", (s) => s.getAttribute("from") === ana.jid);
  await ana.leave();
  await bo.presence.next("ana's end", (s) => s.getAttribute("from") === ana.jid && s.getAttribute("type") === "unavailable");
  bo.say(Strophe.getBareJidFromJid(ana.jid), "are you there?"); // to nobody: it is kept
  await bo.ping();
  ana.open(tap.url);
  await ana.come();
  await ana.messages.expect(["are you there?"]);
  await talk(ana, bo, 5);
  say("reconnected");
  await ana.leave();
  await bo.leave();
});
