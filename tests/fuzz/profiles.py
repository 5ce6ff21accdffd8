"""The number of examples per target: a few in every run, 20,000 with ``PROCVER_FUZZ=long``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings

from procver.cli import cli

LONG = os.environ.get("PROCVER_FUZZ") == "long"


def examples(short: int, long: int) -> Callable[[Any], Any]:
    """Return the settings of a target; the short profile takes the same examples in every run."""
    return settings(
        max_examples=long if LONG else short,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def run(*words: str) -> Result:
    """Run a command line in this process; fail unless it ends as a command may end."""
    result = CliRunner().invoke(cli, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in range(5), (words, result.exit_code, result.output)
    assert "Traceback" not in result.output, (words, result.output)
    return result
