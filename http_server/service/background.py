"""Knows what the coordinator does by itself: watch the inventory, renew its certificate, serve the cluster."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from http_server.errors import StartError
from http_server.identity import ServerTls
from http_server.model import InitState
from http_server.ports import KubernetesUnavailableError, StoreUnavailableError
from http_server.service.context import Context, current_claim
from http_server.service.kubelet_request import approve_requests
from http_server.service.reaper import reap_tokens

log = logging.getLogger("kubeseed.background")
WATCH_SECONDS = 1.0
SOON, SELDOM, LONGEST = 2.0, 15.0, 120.0


async def watch(context: Context, tls: ServerTls, hup: asyncio.Event) -> None:
    """Takes a new inventory within a second, at once after SIGHUP; a bad one is told and the good one stays."""
    while True:
        try:
            await asyncio.wait_for(hup.wait(), WATCH_SECONDS)
        except TimeoutError:
            forced = False
        else:
            forced = True
            hup.clear()
        await asyncio.to_thread(look_once, context, tls, forced=forced)


def look_once(context: Context, tls: ServerTls, *, forced: bool) -> None:
    """One look at the inventory's file and the certificate's age."""
    try:
        if context.inventory_file.refresh(force=forced):
            log.info("new inventory: %d nodes", len(context.inventory.nodes))
            context.bell.ring()
        tls.keep(context.inventory.hosts)
    except StartError as error:
        log.warning("the inventory or certificate was not taken, the former stays: %s", error)
    except StoreUnavailableError as error:
        log.warning("the store is not available: %s", error)


async def serve_cluster(context: Context) -> None:
    """Rounds of work at the cluster's API: often while nodes join, seldom otherwise, rarely while nobody answers."""
    pause, told = SOON, ""
    while True:
        await asyncio.sleep(pause)
        try:
            pause = await asyncio.to_thread(round_once, context)
            told = ""
        except (KubernetesUnavailableError, StoreUnavailableError) as error:
            pause = min(pause * 2, LONGEST)
            told = _tell_once(str(error), told)
        except Exception:
            pause = LONGEST
            log.exception("a round of work at the cluster's API failed; nodes are served all the same")


def _tell_once(text: str, told: str) -> str:
    if text != told:
        log.warning("the cluster's API is not available: %s", text)
    return text


def round_once(context: Context) -> float:
    """Reaps and approves once the cluster exists; returns the seconds until the next round."""
    if context.store.read(current_claim).state is not InitState.COMPLETE:
        return SOON
    work: tuple[Callable[[], int], ...] = (partial(reap_tokens, context), partial(approve_requests, context))
    done = sum(step() for step in work)
    return SOON if done or context.store.read(lambda view: view.tokens()) else SELDOM
