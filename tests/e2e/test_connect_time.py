"""How long `connect` takes, beside the least that two peers need (`odyssey-mock bench connect`)."""

from odyssey_mock.bench import connect

RUNS = 5
"""Other tests run on the same cores, and what they take away falls on the longer of the two: the best run counts."""


async def test_connecting_takes_at_most_twice_the_time_of_two_bare_peers() -> None:
    told: list[str] = []
    for _ in range(RUNS):
        (row,) = await connect.run(quick=True)
        if row.ratio <= 2:
            return
        told.append(str(row))
    raise AssertionError("\n".join(told))
