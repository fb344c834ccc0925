"""Receivers for `bench fanout`, in a process of their own, so that what they cost is not counted.

Each line of the standard input is an SDP answer as a JSON string, or `null` to leave them all. Each of the standard
output is an SDP offer; the last one is `"connected"`, once they all are.
"""

import asyncio
import json
import sys

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

LIMIT = 30.0
"""Seconds for all of them to be connected."""


async def main(count: int) -> None:
    """Offer `count` connections that receive video, apply the answers, and receive until told to stop."""
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    peers = [RTCPeerConnection(configuration) for _ in range(count)]
    try:
        connected = [_connected(peer) for peer in peers]
        for peer in peers:
            peer.addTransceiver("video", direction="recvonly")
            await peer.setLocalDescription(await peer.createOffer())
            _write(peer.localDescription.sdp)
            answer = await asyncio.to_thread(_read)
            await peer.setRemoteDescription(RTCSessionDescription(sdp=str(answer), type="answer"))
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*connected)
        _write("connected")
        async with asyncio.TaskGroup() as tasks:
            readers = [tasks.create_task(_read_frames(peer)) for peer in peers]
            await asyncio.to_thread(_read)
            for reader in readers:
                reader.cancel()
    finally:
        for peer in peers:
            await peer.close()


def _connected(peer: RTCPeerConnection) -> asyncio.Future[None]:
    reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def changed() -> None:
        if peer.connectionState == "connected" and not reached.done():
            reached.set_result(None)

    peer.on("connectionstatechange", changed)
    return reached


async def _read_frames(peer: RTCPeerConnection) -> None:
    # A track that nobody reads keeps every frame.
    (receiver,) = peer.getReceivers()
    while True:
        await receiver.track.recv()


def _write(text: str) -> None:
    sys.stdout.write(json.dumps(text) + "\n")
    sys.stdout.flush()


def _read() -> object:
    line = sys.stdin.readline()
    return json.loads(line) if line else None


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
