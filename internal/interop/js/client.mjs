// One xmpp.js client for one scenario, driven by the interop tests. The only
// argument is a JSON object with the members that py/client.py takes. Each
// event is one line on standard output; the last line is "done".

import { client, xml, jid } from "@xmpp/client";

const args = JSON.parse(process.argv[2]);
const TIMEOUT = 20_000;

const say = (...words) => console.log(words.join(" "));

const [user, domain] = args.jid.split("/")[0].split("@");
const c = client({
  // With direct TLS xmpp.js expects a certificate for the host that it connects
  // to, so that is the domain, which the tests have at this machine.
  service: args.tls === "direct" ? `xmpps://${domain}:${args.port}` : `xmpp://${args.host}:${args.port}`,
  domain,
  resource: args.jid.split("/")[1],
  username: user,
  password: args.password,
});
c.reconnect.stop();

const inbox = [];
const waiting = [];
function deliver(stanza) {
  const i = waiting.findIndex((w) => w.match(stanza));
  if (i < 0) inbox.push(stanza);
  else waiting.splice(i, 1)[0].resolve(stanza);
}
function next(what, match) {
  const i = inbox.findIndex(match);
  if (i >= 0) return Promise.resolve(inbox.splice(i, 1)[0]);
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`no ${what} came`)), TIMEOUT).unref();
    waiting.push({ match, resolve });
  });
}
c.on("stanza", deliver);
let removed = false; // the server ends the streams of a removed account
c.on("error", (e) => removed || fail(e));

function fail(e) {
  console.error(`${e.name}: ${e.message}`);
  process.exit(1);
}

async function echo(me) {
  c.on("stanza", async (s) => {
    if (s.is("message") && s.getChildText("body") !== null)
      await c.send(xml("message", { to: s.attrs.from, type: "chat" }, xml("body", {}, s.getChildText("body"))));
  });
  c.iqCallee.get("urn:xmpp:ping", "ping", () => true);
  say("ready", me);
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
}

async function talk(me) {
  const bodies = ["plain", "<&>'\"", "grüße 🚢 \u2028", "x".repeat(4000)];
  for (const body of bodies) {
    await c.send(xml("message", { to: args.peer, type: "chat" }, xml("body", {}, body)));
    const m = await next("echo", (s) => s.is("message") && s.attrs.from === args.peer);
    if (m.getChildText("body") !== body) throw new Error(`sent ${body}, got ${m}`);
  }
  say("messages", bodies.length);
  for (const to of [args.peer, domain])
    await c.iqCaller.request(xml("iq", { type: "get", to }, xml("ping", "urn:xmpp:ping")), TIMEOUT);
  say("pings");
  const info = await c.iqCaller.get(xml("query", "http://jabber.org/protocol/disco#info"), domain, TIMEOUT);
  if (!info.getChildren("feature").some((f) => f.attrs.var === "urn:xmpp:ping")) throw new Error(`server does not list ping: ${info}`);
  await c.send(xml("presence", { to: args.peer }, xml("show", {}, "away")));
  try {
    await c.iqCaller.get(xml("query", "urn:example:nothing"), domain, TIMEOUT);
    throw new Error("an unknown query was answered");
  } catch (e) {
    if (e.condition === undefined) throw e;
    say("refused", e.condition);
  }
}

async function login(me) {
  await c.send(xml("presence"));
  await next("own presence", (s) => s.is("presence") && s.attrs.from === me);
  say("bound", me);
}

const REGISTER = "jabber:iq:register";

async function unregister() {
  removed = true;
  await c.iqCaller.set(xml("query", REGISTER, xml("remove")), undefined, TIMEOUT);
  say("unregistered");
}

const actions = { echo, talk, login, unregister };

const timer = setTimeout(() => fail(new Error("time is up")), 2 * TIMEOUT);
try {
  const me = String(await c.start());
  if (jid(me).bare().toString() !== `${user}@${domain}`) throw new Error(`bound ${me}`);
  if (args.action === "echo" || args.action === "talk") await c.send(xml("presence"));
  await actions[args.action](me);
  if (!removed) await c.stop();
  say("done");
} catch (e) {
  fail(e);
}
clearTimeout(timer);
process.exit(0);
