"""Knows what the coordinator does by itself: watch the inventory, renew its certificate, serve the cluster."""

import asyncio
import logging
from collections.abc import Callable

from http_server.daemon import in_daemon
from http_server.errors import StartError
from http_server.identity import ServerTls
from http_server.model import InitState
from http_server.ports import KubernetesUnavailableError, StoreUnavailableError
from http_server.service.context import Context, current_claim
from http_server.service.kubelet_request import approve_requests
from http_server.service.reaper import reap_tokens

log = logging.getLogger("kubeseed.background")
WATCH_SECONDS = 1.0
SOON, SELDOM, LONGEST = 2.0, 15.0, 30.0


class Teller:
    """Warns of a state once, not once a second."""

    def __init__(self) -> None:
        self._told = ""

    def tell(self, text: str) -> None:
        """Warns unless this is what was said last; nothing to say clears it."""
        if text and text != self._told:
            log.warning("%s", text)
        self._told = text


async def watch(context: Context, tls: ServerTls, hup: asyncio.Event) -> None:
    """Takes a new inventory within a second, at once after SIGHUP; a bad one is told and the good one stays."""
    teller, pushed = Teller(), Teller()
    while True:
        await asyncio.to_thread(take_once, context, pushed)
        try:
            await asyncio.wait_for(hup.wait(), WATCH_SECONDS)
        except TimeoutError:
            forced = False
        else:
            forced = True
            hup.clear()
        await asyncio.to_thread(look_once, context, tls, teller, forced=forced)


def take_once(context: Context, teller: Teller) -> None:
    """One look at a shared store for a folder that another host generated and pushed."""
    try:
        if context.take_pushed():
            log.info("took what was pushed to the shared store")
        teller.tell("")
    except (OSError, StoreUnavailableError) as error:
        teller.tell(f"what was pushed to the shared store was not taken: {error}")


def look_once(context: Context, tls: ServerTls, teller: Teller, *, forced: bool) -> None:
    """One look at the inventory's file and the certificate's age."""
    try:
        if context.inventory_file.refresh(force=forced):
            log.info("new inventory: %d nodes", len(context.inventory.nodes))
            context.bell.ring()
    except StartError as error:
        log.warning("the inventory was not taken, the former stays: %s", error)
    try:
        tls.keep(context.inventory.hosts)
        teller.tell("")
    except (StartError, StoreUnavailableError) as error:
        teller.tell(f"the coordinator's certificate was not renewed, the former stays: {error}")


async def serve_cluster(context: Context) -> None:
    """Rounds of work at the cluster's API: often while nodes join, seldom otherwise, rarely while it is away."""
    pause, teller = SOON, Teller()
    while True:
        await asyncio.sleep(pause)
        try:
            pause = await in_daemon(round_once, context)
            teller.tell("")
        except (KubernetesUnavailableError, StoreUnavailableError) as error:
            pause = min(pause * 2, LONGEST)
            teller.tell(f"the cluster's API is not available: {error}")
        except Exception:
            pause = LONGEST
            log.exception("a round of work at the cluster's API failed; nodes are served all the same")


def round_once(context: Context) -> float:
    """Reaps and approves once the cluster exists; returns the seconds until the next round."""
    if context.store.read(current_claim).state is not InitState.COMPLETE:
        return SOON
    problems: list[KubernetesUnavailableError] = []
    done = sum(_try(step, context, problems) for step in (reap_tokens, approve_requests))
    if problems:
        raise problems[0]
    return SOON if done or context.store.read(lambda view: view.tokens()) else SELDOM


def _try(step: Callable[[Context], int], context: Context, problems: list[KubernetesUnavailableError]) -> int:
    """One kind of work that fails does not keep the other from being done."""
    try:
        return step(context)
    except KubernetesUnavailableError as error:
        problems.append(error)
        return 0
