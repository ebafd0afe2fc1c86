"""Server: uvicorn kitty.main:app --port PORT"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from kitty import brain, bus, health, settings

SERVICE = settings.service()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    if SERVICE != "voice":
        yield
        return
    announcing = asyncio.create_task(bus.announce(settings.required("MQTT_URL"), SERVICE))
    yield
    announcing.cancel()


# No documentation pages: they load their scripts from elsewhere.
app = FastAPI(title=SERVICE, lifespan=lifespan, docs_url=None, redoc_url=None)
if SERVICE == "brain":
    app.include_router(brain.router)


@app.get("/health", response_model_exclude_none=True)
async def show_health(response: Response) -> health.Health:
    found = await health.look(SERVICE)
    response.status_code = 200 if found.status == "healthy" else 503
    return found


@app.get("/metrics", response_class=PlainTextResponse)
def metrics() -> str:
    """In the text format of Prometheus."""
    return f'# TYPE kitty_uptime_seconds gauge\nkitty_uptime_seconds{{service="{SERVICE}"}} {health.uptime_seconds()}\n'
