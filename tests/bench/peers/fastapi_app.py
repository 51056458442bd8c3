"""FastAPI with the SavedModel in its process: each request runs it in the thread pool.

https://fastapi.tiangolo.com/async/, https://fastapi.tiangolo.com/advanced/events/
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from tests.bench.peers.served import Served


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.served = Served()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/classify")
async def classify(request: Request) -> dict[str, Any]:
    data = await request.body()
    return await run_in_threadpool(_answer, request.app.state.served, data)


def _answer(served: Served, data: bytes) -> dict[str, Any]:
    return {"probabilities": served.run([served.pixels(data)])[0].tolist()}
