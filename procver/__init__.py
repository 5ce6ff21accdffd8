"""procver: versioned procedures, functions and views beside each other, one mapping per release.

The app needs no more than this module: `Resolver` and the errors. Standard library only.
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

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "ConflictError",
    "DatabaseError",
    "FindingsError",
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
