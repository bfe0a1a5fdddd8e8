"""From batches to a server elsewhere: a bounded queue, loads of a good size, retries, a spool on disk, and an account.

`worker` is the whole; a sink gives it a `Sender` that makes one attempt (`outcome` says how it went). Rows wait
in `memory` and `spool`; `waiting` moves them between the two. `http` is the transport that most senders use.
"""

from masthead.delivery.account import Account
from masthead.delivery.limits import Limits
from masthead.delivery.outcome import Again, Load, Outcome, Refused, Sender, Sent, TooLarge
from masthead.delivery.spool import Spool
from masthead.delivery.worker import Delivery

__all__ = [
    "Account",
    "Again",
    "Delivery",
    "Limits",
    "Load",
    "Outcome",
    "Refused",
    "Sender",
    "Sent",
    "Spool",
    "TooLarge",
]
