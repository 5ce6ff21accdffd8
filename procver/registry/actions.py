"""What the audit trail tells of: the actions that leave an event."""

from __future__ import annotations

from typing import Literal, get_args

Action = Literal[
    "create",
    "publish",
    "activate",
    "retire",
    "channel",
    "discard",
    "condemn",
    "quarantine",
    "spare",
    "drop",
    "restore",
]

ACTIONS: tuple[Action, ...] = get_args(Action)

OF_VERSIONS: tuple[Action, ...] = ("condemn", "quarantine", "spare", "drop", "restore")
"""Those whose subject is no release."""
