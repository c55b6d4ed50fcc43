"""`sip_refer` (contract A8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...errors import ConflictError, LocalError
from ...sip.digest import Credentials
from ...swml.actions import SipRefer
from ..referring import ReferOrder, Referral, Referred, ReferState

if TYPE_CHECKING:
    from ..performance import Performance


async def sip_refer(performance: Performance, action: SipRefer) -> dict[str, Any]:
    """Ask the far end to call somebody else, and wait until it says how that went.

    Whoever takes the call from the script meanwhile leaves the REFER as it is: its callbacks tell
    how it ends.
    """
    call = performance.call
    await performance.pick_up()
    performance.let_time_pass()
    await call.established()
    credentials = None
    if action.username is not None:
        credentials = Credentials(action.username, action.password or "")
    order = ReferOrder(to=action.to_uri, credentials=credentials, status_url=action.status_url)
    try:
        referral = Referral(call, order)
    except (ConflictError, LocalError) as error:
        call.log.warning("REFER not sent", error=str(error))
        return _variables(action.to_uri, Referred(state=ReferState.ERROR))
    running = call.spawn(referral.run())
    return _variables(action.to_uri, await call.unless_over(asyncio.shield(running)))


def _variables(to: str, referred: Referred) -> dict[str, Any]:
    """Return what the script learns; a status that nobody told is an empty text."""
    response, notified = referred.response, referred.notified
    return {
        "sip_refer_to": to,
        "sip_refer_result": referred.state.value,
        "sip_refer_response_code": "" if response is None else str(response),
        "sip_refer_to_response_code": "" if notified is None else str(notified),
    }
