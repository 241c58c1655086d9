"""The door to apprise, which knows how a hundred other services are told; loaded where one of them is asked for."""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Any

from rvlstate.errors import UsageError
from rvlstate.forge.failure import ForgeFailure
from rvlstate.notify.address import Address

TOO_LATE = "apprise was not done with it in time, and may deliver it yet"
REFUSED = "apprise could not deliver it, and does not say why"


def check(address: Address) -> None:
    """Raise UsageError where apprise is not installed, or does not know such an address."""
    if _known(address) is None:
        raise UsageError(
            f"apprise does not know what {address.label} is",
            why="Its address is a secret and not shown.",
            next_step="see the pages of apprise for the URL of the service.",
        )


def send(address: Address, title: str, body: str, seconds: float) -> None:
    """Hand a message to the service, which has so many seconds for it. Raises ForgeFailure."""
    service, taken = _known(address), threading.Event()

    def hand_over() -> None:
        if service is not None and service.notify(body=body, title=title, body_format="text"):
            taken.set()

    # Services have time limits of their own, or none. A thread that is still at it ends with the process.
    thread = threading.Thread(target=hand_over, name="rvlstate-apprise", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if thread.is_alive():
        raise ForgeFailure(trouble="nonsense", message=TOO_LATE, writing=True)
    if not taken.is_set():
        raise ForgeFailure(trouble="unreachable", message=REFUSED, writing=True)


def _known(address: Address) -> Any:
    """Apprise with the one service, None if it does not know it. Raises UsageError where it is not installed."""
    with warnings.catch_warnings():
        # What it and its plugins warn of is nothing that whoever looks for drift could mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import apprise
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{address.label} needs apprise, which is not installed", next_step="pip install 'rvlstate[notify]'"
            ) from error
        _silence()
        # A redirection would take the message, and what is secret of the address, to a host that nobody named.
        asset = apprise.AppriseAsset(secure_logging=True, http_redirects=False, app_id="rvlstate", app_desc="rvlstate")
        made = apprise.Apprise(asset=asset)
        return made if made.add(address.url) else None


def _silence() -> None:
    """What its log says of a failure may hold a part of the address."""
    logger = logging.getLogger("apprise")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
