"""One slixmpp client for one scenario, driven by the interop tests.

The only argument is a JSON object: host, port, jid, password, ca (PEM file),
tls ("starttls", "direct" or "none"), mech (SASL mechanism), action, peer, cert
(PEM file with key and certificate of the client).
Each event is one line on standard output; the last line is "done" if all went
as it should. Whatever goes wrong is said on standard error, with exit status 1.
"""

import asyncio
import json
import sys

import slixmpp
from slixmpp.exceptions import IqError

TIMEOUT = 20


def say(*words):
    print(*words, flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, args):
        super().__init__(args["jid"], args["password"], sasl_mech=args.get("mech"))
        self.args = args
        self.ca_certs = args["ca"]
        if args.get("cert"):
            self.certfile = self.keyfile = args["cert"]
        self.failed = None
        self.ready = asyncio.get_event_loop().create_future()
        self.inbox = asyncio.Queue()
        self.presences = asyncio.Queue()
        for plugin in ("xep_0030", "xep_0077", "xep_0092", "xep_0199", "xep_0202"):
            self.register_plugin(plugin)
        self["xep_0077"].force_registration = False
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("presence_available", self.presences.put_nowait)
        self.add_event_handler("failed_auth", lambda e: self.fail("authentication failed"))
        self.add_event_handler("connection_failed", lambda e: self.fail(f"connection failed: {e}"))
        self.add_event_handler("disconnected", lambda e: self.fail("disconnected"))
        self.add_event_handler("stream_error", lambda e: self.fail(f"stream error: {e}"))
        if args["action"] == "register":
            self["xep_0077"].force_registration = True
            self._always_send_everything = True  # slixmpp 1.8 holds back requests before login, this one too
            self.add_event_handler("register", self.register)

    def fail(self, why):
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(why))

    async def register(self, _event):
        iq = self.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = self.boundjid.user
        iq["register"]["password"] = self.password
        await iq.send(timeout=TIMEOUT)
        say("registered", self.boundjid.bare)

    def started(self, _event):
        if not self.ready.done():
            self.ready.set_result(None)

    def open(self):
        mode = self.args["tls"]
        self.connect(
            (self.args["host"], self.args["port"]),
            use_ssl=mode == "direct",
            force_starttls=mode == "starttls",
            disable_starttls=mode != "starttls",
        )

    async def next_message(self):
        return await asyncio.wait_for(self.inbox.get(), TIMEOUT)

    async def presence_from(self, jid):
        while True:
            p = await asyncio.wait_for(self.presences.get(), TIMEOUT)
            if p["from"] == jid:
                return p


async def echo(c):
    """Answer every message until standard input ends."""
    say("ready", c.boundjid.full)
    done = asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)
    while True:
        got = asyncio.ensure_future(c.inbox.get())
        await asyncio.wait({got, asyncio.ensure_future(done)}, return_when=asyncio.FIRST_COMPLETED)
        if not got.done():
            got.cancel()
            return
        m = got.result()
        c.send_message(mto=m["from"], mbody=m["body"], mtype="chat")


async def talk(c):
    """Exchange messages, presence and IQs with a peer that echoes."""
    peer = slixmpp.JID(c.args["peer"])
    bodies = ["plain", "<&>'\"", "grüße 🚢 \u2028", "x" * 4000]
    for body in bodies:
        c.send_message(mto=peer, mbody=body, mtype="chat")
        m = await c.next_message()
        if m["body"] != body or m["from"] != peer:
            raise RuntimeError(f"sent {body!r} to {peer}, got {m}")
    say("messages", len(bodies))
    await c["xep_0199"].ping(peer, timeout=TIMEOUT)
    await c["xep_0199"].ping(slixmpp.JID(c.boundjid.domain), timeout=TIMEOUT)
    say("pings")
    info = await c["xep_0030"].get_info(jid=slixmpp.JID(c.boundjid.domain), timeout=TIMEOUT)
    features = info["disco_info"]["features"]
    for want in ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "jabber:iq:version"):
        if want not in features:
            raise RuntimeError(f"server does not list {want}: {features}")
    version = await c["xep_0092"].get_version(slixmpp.JID(c.boundjid.domain), timeout=TIMEOUT)
    say("version", version["software_version"]["name"])
    await c["xep_0202"].get_entity_time(slixmpp.JID(c.boundjid.domain), timeout=TIMEOUT)
    c.send_presence(pto=peer, pshow="away", pstatus="at the quay")
    try:
        await c["xep_0030"].get_info(jid=slixmpp.JID("nobody@" + c.boundjid.domain), timeout=TIMEOUT)
        raise RuntimeError("disco of an account that does not exist succeeded")
    except IqError as e:
        say("refused", e.condition)


async def unregister(c):
    await c["xep_0077"].cancel_registration(timeout=TIMEOUT)
    say("unregistered")


async def login(c):
    c.send_presence()
    await c.presence_from(c.boundjid)
    say("bound", c.boundjid.full)


ACTIONS = {"echo": echo, "talk": talk, "unregister": unregister, "login": login, "register": login}


async def run(args):
    c = Client(args)
    c.open()
    await asyncio.wait_for(c.ready, TIMEOUT)
    if args["action"] not in ("login", "register"):
        c.send_presence()
    await ACTIONS[args["action"]](c)
    c.disconnect(wait=2)
    await asyncio.wait_for(c.disconnected, TIMEOUT)
    say("done")


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run(json.loads(sys.argv[1])))
    except Exception as e:  # the test wants one line, not a trace
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        sys.exit(1)
