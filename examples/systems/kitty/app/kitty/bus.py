"""The message bus. A service announces itself by a retained message, which the broker takes back when it is gone."""

import asyncio
from urllib.parse import unquote, urlsplit

import aiomqtt


def client(url: str, **more: object) -> aiomqtt.Client:
    """mqtt://user:percent-encoded-password@host:port"""
    parts = urlsplit(url)
    return aiomqtt.Client(
        parts.hostname or "",
        parts.port or 1883,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        timeout=2,
        **more,
    )


async def announce(url: str, service: str) -> None:
    """For as long as the service runs."""
    topic = _topic(service)
    while True:
        try:
            async with client(url, will=aiomqtt.Will(topic, "offline", retain=True)) as bus:
                await bus.publish(topic, "online", retain=True)
                async for _ in bus.messages:
                    pass
        except aiomqtt.MqttError:
            await asyncio.sleep(1)


async def is_seen(url: str, service: str) -> bool:
    """As anybody else on the bus sees it; waits for its message without end."""
    async with client(url) as bus:
        await bus.subscribe(_topic(service))
        async for message in bus.messages:
            return message.payload == b"online"
    return False


def _topic(service: str) -> str:
    return f"kitty/services/{service}"
