"""The STUN responder, asked by aioice and by a real socket."""

import asyncio

from aioice import Connection, stun
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.streamer.stun import StunResponder, answer_binding


def binding_request() -> stun.Message:
    return stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)


@given(st.ip_addresses(v=4), st.integers(1, 65535))
def test_a_binding_request_is_answered_with_where_it_came_from(address: object, port: int) -> None:
    request = binding_request()
    answer = answer_binding(bytes(request), (str(address), port))
    assert answer is not None
    message = stun.parse_message(answer)
    assert message.message_class == stun.Class.RESPONSE
    assert message.transaction_id == request.transaction_id
    assert message.attributes["XOR-MAPPED-ADDRESS"] == (str(address), port)


@given(st.binary(max_size=200))
def test_other_datagrams_get_no_answer(datagram: bytes) -> None:
    assert answer_binding(datagram, ("127.0.0.1", 1)) is None


def test_an_indication_gets_no_answer() -> None:
    indication = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.INDICATION)
    assert answer_binding(bytes(indication), ("127.0.0.1", 1)) is None


async def test_an_ice_agent_learns_its_own_address_from_it() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunResponder, local_addr=("127.0.0.1", 0))
    agent = Connection(ice_controlling=True, stun_server=transport.get_extra_info("sockname"))
    try:
        async with asyncio.timeout(10):
            candidates = await agent.get_component_candidates(1, ["127.0.0.1"])
        reflexive = [candidate for candidate in candidates if candidate.type == "srflx"]
        assert [(c.host, c.port) for c in reflexive] == [(reflexive[0].related_address, reflexive[0].related_port)]
    finally:
        await agent.close()
        transport.close()
