"""Two people with two devices each, driven by the interop tests.

The only argument is a JSON object: host, port, ca (PEM file), domain, users (a
list of two objects with name and password). Each line on standard output is an
event; "ask WHAT" waits for a line on standard input, after which the tester has
done it: reload, kill (the server was killed and runs again). The last line is
"done" if all went as it should; whatever goes wrong is said on standard error,
with exit status 1.
"""

import asyncio
import json
import sys
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.exceptions import IqError

TIMEOUT = 20
DEVICES = (("boat", "quay"), ("pier", "dock"))


def say(*words):
    print(*words, flush=True)


async def ask(what):
    """Wait for the tester to do something."""
    say("ask", what)
    line = await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline)
    if not line:
        raise RuntimeError(f"nobody did {what}")


def check(ok, why):
    if not ok:
        raise RuntimeError(why)


class Device(slixmpp.ClientXMPP):
    """One client of a user."""

    def __init__(self, args, user, resource):
        super().__init__(f"{user['name']}@{args['domain']}/{resource}", user["password"])
        self.args = args
        self.ca_certs = args["ca"]
        self.auto_authorize = None  # the scenario answers
        self.auto_subscribe = False
        loop = asyncio.get_event_loop()
        self.ready, self.gone = loop.create_future(), loop.create_future()
        self.queues = {}
        self.acked = []
        for plugin in ("0012", "0030", "0049", "0054", "0191", "0198", "0199", "0203", "0280", "0359"):
            self.register_plugin("xep_" + plugin)
        self["xep_0198"].window = 1
        for event in (
            "message", "presence_available", "presence_unavailable", "presence_subscribe", "presence_subscribed",
            "roster_update", "carbon_received", "carbon_sent", "blocked", "unblocked", "message_error",
        ):
            self.queues[event] = asyncio.Queue()
            self.add_event_handler(event, self.queues[event].put_nowait)
        self.add_event_handler("stanza_acked", lambda s: self.acked.append(s["id"]))
        self.add_event_handler("session_start", lambda e: self.ready.done() or self.ready.set_result(None))
        self.add_event_handler("disconnected", self.disconnection)
        for event in ("failed_auth", "connection_failed", "stream_error"):
            self.add_event_handler(event, lambda e, event=event: self.fail(f"{event}: {e}"))

    def disconnection(self, why):
        self.fail(f"disconnected: {why}")
        if not self.gone.done():
            self.gone.set_result(None)

    def fail(self, why):
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(f"{self.requested_jid}: {why}"))

    async def login(self):
        self.connect((self.args["host"], self.args["port"]), force_starttls=True)
        await asyncio.wait_for(self.ready, TIMEOUT)
        await self.get_roster(timeout=TIMEOUT)
        await self["xep_0280"].enable(timeout=TIMEOUT)
        await self["xep_0191"].get_blocked(timeout=TIMEOUT)
        self.send_presence()
        return self

    async def logout(self):
        self.disconnect(wait=2)
        await asyncio.wait_for(self.gone, TIMEOUT)

    async def next(self, event, ok=lambda e: True, what=""):
        """Wait for an event for which ok holds; others are dropped."""
        while True:
            try:
                e = await asyncio.wait_for(self.queues[event].get(), TIMEOUT)
            except asyncio.TimeoutError:
                raise RuntimeError(f"{self.boundjid}: no {event} {what}") from None
            if ok(e):
                return e

    async def quiet(self, event):
        """Make sure that an event has not come: a ping comes back after it."""
        await self["xep_0199"].ping(slixmpp.JID(self.boundjid.domain), timeout=TIMEOUT)
        check(self.queues[event].empty(), f"{self.boundjid}: unexpected {event}")

    async def item(self, jid, ok, what):
        """Wait until the roster has an item for which ok holds."""
        for _ in range(20):
            if jid in self.client_roster and ok(self.client_roster[jid]):
                return
            await self.next("roster_update", what=what)
        raise RuntimeError(f"{self.boundjid}: {what}: {self.client_roster}")

    async def all_acked(self, ids):
        """Wait until the server answers for messages."""
        for _ in range(100):
            if set(ids) <= set(self.acked):
                return
            self["xep_0198"].request_ack()
            await self["xep_0199"].ping(slixmpp.JID(self.boundjid.domain), timeout=TIMEOUT)
        raise RuntimeError(f"{self.boundjid}: not acknowledged: {set(ids) - set(self.acked)}")

    def chat(self, to, body):
        m = self.make_message(mto=to, mbody=body, mtype="chat")
        m["id"] = self.new_id()
        m.send()
        return m["id"]


class Scenario:
    def __init__(self, args):
        self.args = args

    def device(self, who, which):
        return Device(self.args, self.args["users"][who], DEVICES[who][which])

    async def login(self):
        self.ana = [await self.device(0, i).login() for i in (0, 1)]
        self.bo = [await self.device(1, i).login() for i in (0, 1)]
        self.anas, self.bos = self.ana[0].boundjid.bare, self.bo[0].boundjid.bare
        say("logged in")

    async def subscribe(self):
        """RFC 6121, section 3: each sees the other, on every device."""
        a, b = self.ana[0], self.bo[0]
        await a.update_roster(self.bos, name="Bo <&'\">", groups=["quay", "Größe"])
        a.send_presence_subscription(pto=self.bos, ptype="subscribe")
        for d in self.bo:
            await d.next("presence_subscribe", what="of ana")
        b.send_presence_subscription(pto=self.anas, ptype="subscribed")
        b.send_presence_subscription(pto=self.anas, ptype="subscribe")
        await a.next("presence_subscribe", what="of bo")
        self.ana[1].send_presence_subscription(pto=self.bos, ptype="subscribed")
        for d in self.ana:
            await d.item(self.bos, lambda i: i["subscription"] == "both" and i["name"] == "Bo <&'\">"
                         and set(i["groups"]) == {"quay", "Größe"}, "bo as both")
        for d in self.bo:
            await d.item(self.anas, lambda i: i["subscription"] == "both", "ana as both")
        b.send_presence(pstatus="at the pier")
        for d in self.ana:
            await d.next("presence_available", lambda p: p["from"] == b.boundjid and p["status"] == "at the pier", "of bo's pier")
        say("subscribed")

    async def carbons(self):
        """XEP-0280: each device sees the whole conversation."""
        self.bo[0].chat(self.ana[0].boundjid, "one")
        await self.ana[0].next("message", lambda m: m["body"] == "one", "one")
        c = await self.ana[1].next("carbon_received", what="on ana's other device")
        check(c["carbon_received"]["body"] == "one", f"wrong carbon: {c}")
        c = await self.bo[1].next("carbon_sent", what="on bo's other device")
        check(c["carbon_sent"]["body"] == "one", f"wrong carbon: {c}")
        say("carbons")

    async def cards(self):
        """XEP-0054, XEP-0049 and XEP-0012."""
        card = self.bo[0]["xep_0054"].make_vcard()
        card["FN"] = "Bo of the <pier>"
        await self.bo[0]["xep_0054"].publish_vcard(card, timeout=TIMEOUT)
        await self.card()
        iq = self.ana[0].make_iq_set()
        iq.append(ET.fromstring("<query xmlns='jabber:iq:private'><notes xmlns='urn:test:notes'><n k='1'>low &lt; tide</n></notes></query>"))
        await iq.send(timeout=TIMEOUT)
        await self.notes()
        seen = await self.ana[0]["xep_0012"].get_last_activity(slixmpp.JID(self.bos), timeout=TIMEOUT)
        check(int(seen["last_activity"]["seconds"]) == 0, f"bo is here: {seen}")
        say("cards")

    async def card(self):
        iq = await self.ana[1]["xep_0054"].get_vcard(slixmpp.JID(self.bos), cached=False, timeout=TIMEOUT)
        check(iq["vcard_temp"]["FN"] == "Bo of the <pier>", f"wrong vCard: {iq}")

    async def notes(self):
        iq = self.ana[1].make_iq_get()
        iq.append(ET.fromstring("<query xmlns='jabber:iq:private'><notes xmlns='urn:test:notes'/></query>"))
        got = await iq.send(timeout=TIMEOUT)
        n = got.xml.find(".//{urn:test:notes}n")
        check(n is not None and n.text == "low < tide" and n.get("k") == "1", f"wrong private storage: {got}")

    async def block(self):
        """XEP-0191: who is blocked sees nothing and reaches nobody."""
        await self.ana[0]["xep_0191"].block([slixmpp.JID(self.bos)], timeout=TIMEOUT)
        await self.ana[1].next("blocked", what="push")
        for d in self.bo:
            await d.next("presence_unavailable", lambda p: p["from"].bare == self.anas, "of ana")
        self.bo[0].chat(self.anas, "blocked")
        await self.bo[0].next("message_error", lambda m: m["error"]["condition"] == "service-unavailable", "of the blocked message")
        for d in self.ana:
            await d.quiet("message")
        try:
            await self.ana[0]["xep_0199"].ping(self.bo[0].boundjid, timeout=TIMEOUT)
            raise RuntimeError("an IQ to a blocked contact was not refused")
        except IqError as e:
            check(e.condition == "not-acceptable", f"wrong refusal: {e.condition}")

    async def unblock(self):
        got = await self.ana[1]["xep_0191"].get_blocked(timeout=TIMEOUT)
        check({str(j) for j in got["blocklist"]["items"]} == {self.bos}, f"wrong block list: {got}")
        await self.ana[1]["xep_0191"].unblock([slixmpp.JID(self.bos)], timeout=TIMEOUT)
        await self.ana[0].next("unblocked", what="push")
        for d in self.bo:
            await d.next("presence_available", lambda p: p["from"].bare == self.anas, "of ana")

    async def offline(self, count, prefix):
        """Messages for nobody's device, of which the server says that it has them."""
        sent = [self.bo[0].chat(self.anas, f"{prefix} {i}") for i in range(count)]
        await self.bo[0].all_acked(sent)
        say("stored", count)

    async def kept(self, device, count, prefix):
        """The messages come once, in order, with the time of their sending."""
        for i in range(count):
            m = await device.next("message", what=f"{prefix} {i}")
            check(m["body"] == f"{prefix} {i}", f"got {m['body']!r}, want {prefix} {i}")
            check(m["delay"]["stamp"], f"no delay: {m}")
        await device.quiet("message")
        say("delivered", count)

    async def run(self):
        await self.login()
        await self.subscribe()
        await self.carbons()
        await self.cards()
        await self.block()
        await self.unblock()

        talk = asyncio.ensure_future(self.converse())
        await ask("reload")
        self.talking = False
        await talk

        for d in self.ana:
            await d.logout()
        await self.offline(20, "before")
        await self.bo[1].logout()
        await ask("kill")
        await asyncio.wait_for(self.bo[0].gone, TIMEOUT)

        bo = await self.device(1, 1).login()
        seen = await bo["xep_0012"].get_last_activity(slixmpp.JID(self.anas), timeout=TIMEOUT)
        check(int(seen["last_activity"]["seconds"]) < 600, f"ana was here: {seen}")
        await bo.logout()
        self.ana = [await self.device(0, i).login() for i in (0, 1)]
        await self.kept(self.ana[0], 20, "before")
        await self.ana[1].quiet("message")
        for d in self.ana:
            await d.item(self.bos, lambda i: i["subscription"] == "both" and i["name"] == "Bo <&'\">", "bo after the restart")
        await self.card()
        await self.notes()
        self.bo = [await self.device(1, i).login() for i in (0, 1)]
        for d in self.ana:
            await d.next("presence_available", lambda p: p["from"] == self.bo[0].boundjid, "of bo after the restart")
        await self.carbons()
        await self.block()
        await self.unblock()
        for d in self.ana + self.bo:
            await d.logout()
        ana = await self.device(0, 0).login()
        await ana.quiet("message")  # what has arrived does not come again
        await ana.logout()

    async def converse(self):
        """Chat until told to stop; nothing may be lost meanwhile."""
        self.talking, n = True, 0
        while self.talking or n < 10:
            self.bo[0].chat(self.ana[0].boundjid, f"talk {n}")
            m = await self.ana[0].next("message", what=f"talk {n}")
            check(m["body"] == f"talk {n}", f"got {m['body']!r}, want talk {n}")
            n += 1
            await asyncio.sleep(0.01)
        for d in (self.ana[1], self.bo[1]):
            for queue in ("carbon_received", "carbon_sent"):
                while not d.queues[queue].empty():
                    d.queues[queue].get_nowait()
        say("talked through the reload")


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(Scenario(json.loads(sys.argv[1])).run())
        say("done")
    except Exception as e:  # the test wants one line, not a trace
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        sys.exit(1)
