"""Two ICE agents that talk through TURN relays and in no other way.

Takes a scenario as JSON, prints the candidates, and "done" in the end.
"""

import asyncio
import json
import sys

import aioice


def agent(s, controlling):
    return aioice.Connection(
        ice_controlling=controlling,
        turn_server=(s["host"], int(s["port"])),
        turn_username=s["user"],
        turn_password=s["password"],
        turn_ssl=s["tls"],
        turn_transport=s["transport"],
        transport_policy=aioice.TransportPolicy.RELAY,
    )


async def main(s):
    ana, bo = agent(s, True), agent(s, False)
    await asyncio.gather(ana.gather_candidates(), bo.gather_candidates())
    for here, there in ((ana, bo), (bo, ana)):
        for candidate in there.local_candidates:
            print(candidate.to_sdp())
            await here.add_remote_candidate(candidate)
        await here.add_remote_candidate(None)
        here.remote_username = there.local_username
        here.remote_password = there.local_password
    await asyncio.gather(ana.connect(), bo.connect())
    for size in (1, 100, 1200):
        for here, there in ((ana, bo), (bo, ana)):
            data = bytes(i % 256 for i in range(size))
            await here.send(data)
            assert await there.recv() == data
    await asyncio.gather(ana.close(), bo.close())
    print("done")


asyncio.run(asyncio.wait_for(main(json.loads(sys.argv[1])), 30))
