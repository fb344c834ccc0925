"""Helpers that send valid requests for simulation jobs to the mock, without `odyssey_client`."""

from typing import Any

import httpx

from odyssey_mock import MockOdyssey

type Body = dict[str, Any]  # Any: decoded JSON; the tests know its shape

PATHS = ("/simulation-jobs", "/simulation-jobs/{job_id}")
URLS = ("video_url", "events_url", "thumbnail_url", "preview_url")


def script(seconds: float = 10.0, prompt: str = "A cat", **start: object) -> list[Body]:
    return [
        {"timestamp_ms": 0, "start": {"prompt": prompt, **start}},
        {"timestamp_ms": int(seconds * 1000), "end": {}},
    ]


def wanted(*scripts: list[Body], **fields: object) -> Body:
    return {"scripts": scripts or [script()], "portrait": True, "output_video": True, **fields}


async def submit(http: httpx.AsyncClient, *scripts: list[Body], **fields: object) -> str:
    answer = await http.post("/simulation-jobs", json=wanted(*scripts, **fields))
    return str(answer.raise_for_status().json()["job_id"])


async def job(http: httpx.AsyncClient, job_id: str) -> Body:
    shown: Body = (await http.get(f"/simulation-jobs/{job_id}")).raise_for_status().json()
    return shown


async def listed(http: httpx.AsyncClient, **query: object) -> Body:
    page: Body = (await http.get("/simulation-jobs", params=query)).raise_for_status().json()  # type: ignore[arg-type]
    return page


async def ids(http: httpx.AsyncClient, **query: object) -> list[str]:
    return [each["job_id"] for each in (await listed(http, **query))["jobs"]]


async def finished_stream(http: httpx.AsyncClient, mock: MockOdyssey) -> str:
    """Run a simulation job with one stream of a second, and return the id of the stream."""
    job_id = await submit(http, script(1))
    await mock.wait_for("state", "simulation", to="completed", job=job_id)
    return str((await job(http, job_id))["streams"][0]["stream_id"])
