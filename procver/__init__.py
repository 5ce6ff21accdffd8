"""procver: versioned procedures, functions and views beside each other, one mapping per release.

The app needs no more than this module: `Resolver`, `Heartbeat` and the errors. Standard library only.
"""

from procver.errors import (
    ConfigError,
    ConflictError,
    DatabaseError,
    FindingsError,
    LockError,
    ProcverError,
    SourceError,
    StaleLockError,
    StalePlanError,
    UnknownNameError,
    UsageError,
)
from procver.resolver import Resolver

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from procver.heartbeat import Heartbeat

__version__ = "0.2.0"


def __getattr__(name: str) -> object:
    """Load what not every app needs when it is asked for."""
    if name == "Heartbeat":
        from procver.heartbeat import Heartbeat

        return Heartbeat
    raise AttributeError(f"module 'procver' has no attribute {name!r}")


__all__ = [
    "ConfigError",
    "ConflictError",
    "DatabaseError",
    "FindingsError",
    "Heartbeat",
    "LockError",
    "ProcverError",
    "Resolver",
    "SourceError",
    "StaleLockError",
    "StalePlanError",
    "UnknownNameError",
    "UsageError",
    "__version__",
]
