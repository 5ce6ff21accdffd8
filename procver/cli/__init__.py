"""The command line: parses, calls one use case, prints. One place turns an error into an exit code."""

from __future__ import annotations

from procver.cli.group import cli, main

__all__ = ["cli", "main"]
