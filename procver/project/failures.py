"""Several bad files in one error, so that a user can fix them in one go."""

from __future__ import annotations

from types import TracebackType

from procver.errors import SourceError
from procver.project.templates import SOURCE as TEMPLATE

_SHOWN = 20


class Failures:
    """Collects source errors, and raises them as one when its block ends without another."""

    def __init__(self) -> None:
        self._errors: list[SourceError] = []

    def __enter__(self) -> Failures:
        return self

    def add(self, error: SourceError, path: str) -> None:
        """Note what is wrong with the file at ``path``, and name the file in it."""
        if error.file is None:
            error.file = path
            if error.line is not None and path.endswith(TEMPLATE):
                error.message += " (the line is that of the rendered text)"
        self._errors.append(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None or not self._errors:
            return
        first, *others = self._errors
        if not others:
            raise first
        count = "1 more file" if len(others) == 1 else f"{len(others)} more files"
        lines = [f"{first.message}", f"{count} cannot be used:"]
        lines += [f"  {other}" for other in others[:_SHOWN]]
        if len(others) > _SHOWN:
            lines.append(f"  and {len(others) - _SHOWN} more")
        hints = {other.hint for other in self._errors}
        hint = first.hint if len(hints) == 1 else f"{first.file}: {first.hint}"
        several = SourceError("\n".join(lines), file=first.file, line=first.line, hint=hint)
        several.others = tuple(others)
        raise several from first
