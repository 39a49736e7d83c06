// Two xmpp.js clients over WebSocket.

import { args, say, main, within, bodies, Inbox, Tap } from "./web.mjs";
import { client, xml } from "@xmpp/client";

let pings = 0;

function person(user, service) {
  const p = { messages: new Inbox(), presence: new Inbox(), answers: new Inbox(), errors: [] };
  p.client = client({
    service,
    domain: args.domain,
    resource: "boat",
    credentials: (authenticate, mechanisms) => {
      if (!mechanisms.includes("SCRAM-SHA-1")) throw new Error(`the server offers ${mechanisms}`);
      return authenticate({ username: user, password: args.password }, "SCRAM-SHA-1");
    },
  });
  p.client.on("error", (e) => p.errors.push(e));
  p.client.on("stanza", (s) => {
    if (s.is("presence")) p.presence.push(s);
    if (s.is("iq") && s.attrs.type !== "get") p.answers.push(s);
    if (s.is("message")) p.messages.push(s.attrs.type === "error" ? `error ${s}` : s.getChildText("body"));
  });
  p.say = (to, body) => p.client.send(xml("message", { to, type: "chat" }, xml("body", {}, body)));
  // What iqCaller gets, stream management does not count.
  p.ping = async () => {
    const id = `ping${++pings}`;
    await p.client.send(xml("iq", { type: "get", id, to: args.domain }, xml("ping", "urn:xmpp:ping")));
    const answer = await p.answers.next("pong", (s) => s.attrs.id === id);
    if (answer.attrs.type !== "result") throw new Error(`ping: ${answer}`);
  };
  p.start = async () => {
    const enabled = new Promise((resolve) => p.client.on("nonza", (n) => n.is("enabled") && resolve()));
    p.jid = String(await within(p.client.start(), `login of ${user}`));
    if (p.jid !== `${user}@${args.domain}/boat`) throw new Error(`bound ${p.jid}`);
    await within(enabled, "stream management");
    await p.client.send(xml("presence"));
    await p.presence.next("own presence", (s) => s.attrs.from === p.jid);
  };
  return p;
}

main(async () => {
  const tap = await Tap.to(args.service);
  const ana = person(args.ana, tap.url);
  const bo = person(args.bo, args.service);
  await Promise.all([ana.start(), bo.start()]);
  say("bound", ana.jid, bo.jid);

  await ana.client.send(xml("presence", { to: bo.jid }, xml("show", {}, "away")));
  await bo.presence.next("presence of ana", (s) => s.attrs.from === ana.jid && s.getChildText("show") === "away");
  for (const p of [ana, bo]) await p.ping();

  const there = bodies("ana", 50);
  const back = bodies("bo", 50);
  for (let i = 0; i < there.length; i++) await Promise.all([ana.say(bo.jid, there[i]), bo.say(ana.jid, back[i])]);
  await bo.messages.expect(there);
  await ana.messages.expect(back);
  say("messages", there.length, back.length);

  // What was said while nothing came back is said once more after the resumption; to
  // those who heard it, it is not.
  const resumed = within(new Promise((resolve) => ana.client.streamManagement.once("resumed", resolve)), "resumption");
  tap.lose();
  const lost = bodies("lost", 3);
  for (const body of lost) await ana.say(bo.jid, body);
  await bo.messages.expect(lost);
  const missed = bodies("missed", 5);
  await bo.say(ana.jid, missed[0]);
  await bo.ping();
  tap.cut();
  for (const body of missed.slice(1)) await bo.say(ana.jid, body);
  await resumed;
  await ana.messages.expect(missed);
  if (String(ana.client.jid) !== ana.jid) throw new Error(`resumed as ${ana.client.jid}`);
  await ana.say(bo.jid, "after all");
  await bo.messages.expect(["after all"]);
  say("resumed");

  await Promise.all([ana.client.stop(), bo.client.stop()].map((p) => within(p, "end of a stream")));
  if (bo.errors.length > 0) throw bo.errors[0];
});
