"""Tests of the STUN responder, with single STUN messages and with an ICE agent of aioice."""

import asyncio

from aioice import Connection, stun
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.rtc.stun import StunResponder, answer_binding


def binding_request() -> stun.Message:
    return stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)


@given(st.ip_addresses(v=4), st.integers(1, 65535))
def test_binding_response_has_the_source_address(address: object, port: int) -> None:
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


@given(st.data())
def test_damaged_request_raises_no_error(data: st.DataObject) -> None:
    request = binding_request()
    request.attributes["USERNAME"] = "a:b"
    request.attributes["PRIORITY"] = 1
    damaged = bytearray(bytes(request))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    answer_binding(bytes(damaged), ("127.0.0.1", 1))


def test_truncated_attribute_gets_no_answer() -> None:
    priority_of_no_bytes = b"\x00\x24\x00\x00"
    header = b"\x00\x01\x00\x04" + bytes(binding_request())[4:20]
    assert answer_binding(header + priority_of_no_bytes, ("127.0.0.1", 1)) is None


def test_indication_gets_no_answer() -> None:
    indication = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.INDICATION)
    assert answer_binding(bytes(indication), ("127.0.0.1", 1)) is None


async def test_ice_agent_learns_its_own_address() -> None:
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
