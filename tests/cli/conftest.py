"""The same projects as the live tests use."""

from __future__ import annotations

from tests.live.conftest import workshop

__all__ = ["workshop"]
