"""Knows how to wait for the network without keeping the process from ending: in a thread that nobody joins."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_daemon(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As asyncio.to_thread, in a daemon thread of its own: an API server that never answers cannot delay a stop."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # a T: there was no error

    def run() -> None:
        result, error = None, None
        try:
            result = work(*args, **kwargs)
        except Exception as caught:  # noqa: BLE001 - it is raised where the work is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed: the coordinator has stopped
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="kubeseed-cluster").start()
    return await done
