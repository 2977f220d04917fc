"""The application: routes, the error table, the guard in front, the workers' life behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from model_backend.api import uploads, workers
from model_backend.api.backend import Backend
from model_backend.api.ogc import router
from model_backend.api.operations import admin, health, metrics
from model_backend.api.wire import Guard, answer_errors


def create_app(backend: Backend) -> FastAPI:
    """Return the ASGI application of a backend; its lifespan starts and ends the workers."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        backend.supervisor.start()
        yield
        await run_in_threadpool(backend.close)

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.state.backend = backend
    app.include_router(router)
    app.include_router(uploads.router)
    app.include_router(workers.router)
    for one in (health, metrics, admin):
        app.include_router(one.router)
    answer_errors(app)
    app.add_middleware(Guard, gate=backend.gate, settings=backend.settings, audit=backend.audit)
    return app
