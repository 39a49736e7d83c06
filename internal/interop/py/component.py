"""An external component (XEP-0114) driven by the interop tests.

The only argument is a JSON object: host, port, jid, secret, action. The actions:

  echo   sends messages back, and answers disco, version and ping, until standard
         input ends
  forge  sends a message from the address "from" to "to", then acts like echo

Each line on standard output is an event: "ready JID" when the handshake is done,
"got BODY" for each message, "done" at the end. Whatever goes wrong is said on
standard error, with exit status 1.
"""

import asyncio
import json
import sys

import slixmpp

TIMEOUT = 20


def say(*words):
    print(*words, flush=True)


class Component(slixmpp.ComponentXMPP):
    def __init__(self, args):
        super().__init__(args["jid"], args["secret"], args["host"], args["port"])
        self.args = args
        loop = asyncio.get_event_loop()
        self.ready, self.gone = loop.create_future(), loop.create_future()
        for plugin in ("0030", "0092", "0199"):
            self.register_plugin("xep_" + plugin)
        self["xep_0092"].software_name = "Echo"
        self["xep_0030"].add_identity(category="gateway", itype="echo", name="Echo")
        self.add_event_handler("session_start", lambda e: self.ready.done() or self.ready.set_result(None))
        self.add_event_handler("message", self.echo)
        self.add_event_handler("stream_error", lambda e: self.fail(f"stream error: {e['condition']}"))
        self.add_event_handler("connection_failed", lambda e: self.fail(f"connection failed: {e}"))
        self.add_event_handler("disconnected", lambda e: self.fail(f"disconnected: {e}"))

    def fail(self, why):
        for future in (self.ready, self.gone):
            if not future.done():
                future.set_exception(RuntimeError(why))

    def echo(self, m):
        say("got", m["body"])
        if m["type"] != "error":
            m.reply(m["body"]).send()


async def run(args):
    c = Component(args)
    c.connect()
    await asyncio.wait_for(c.ready, TIMEOUT)
    say("ready", c.boundjid)
    if args["action"] == "forge":
        c.send_message(mto=args["to"], mfrom=args["from"], mbody="forged")
    end = asyncio.get_event_loop().run_in_executor(None, sys.stdin.read)
    done, _ = await asyncio.wait([end, c.gone], return_when=asyncio.FIRST_COMPLETED)
    if c.gone in done:
        c.gone.result()
    c.gone.add_done_callback(lambda f: f.exception())
    c.disconnect(wait=2)
    say("done")


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run(json.loads(sys.argv[1])))
    except Exception as e:  # the test wants one line, not a trace
        print(f"{type(e).__name__}: {e}", file=sys.stderr, flush=True)
        import os

        os._exit(1)  # a thread may wait for standard input
