"""What a refusal must be: its exit code, its words in both modes, and nothing changed anywhere."""

from __future__ import annotations

import json
from pathlib import Path

from tests.workshop import Workshop


def files(root: Path) -> dict[str, bytes]:
    """Return every file of a project but those of git and of procver's own cache."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not {".git", ".procver"} & set(path.relative_to(root).parts)
    }


def refused(
    workshop: Workshop,
    *words: str,
    code: int,
    error: str,
    says: tuple[str, ...] = (),
    hint: tuple[str, ...] = (),
    never: tuple[str, ...] = (),
    look: bool = True,
) -> str:
    """Run a command with and without --json; fail unless both refuse alike and leave all as it was.

    Args:
        workshop: the project.
        words: the command.
        code: its exit code.
        error: the ``code`` in its JSON.
        says: what the message holds.
        hint: what the hint holds.
        never: what must not be printed anywhere.
        look: whether the target can be looked into.

    Returns:
        message and hint, in one line.
    """
    before = files(workshop.root), workshop.look() if look else None
    text = workshop.run(*words, code=code)
    plain = workshop.run(*words, "--json", code=code)
    assert (files(workshop.root), workshop.look() if look else None) == before, (
        "it changed something"
    )
    assert text.stdout == "", "nothing but data belongs on stdout"
    assert plain.stderr == "", "with --json, the document on stdout is all there is"
    document = json.loads(plain.stdout)
    assert list(document) == ["error"]
    assert document["error"]["code"] == error, document
    message, advice = document["error"]["message"], document["error"]["hint"]
    assert advice, f"no hint: {message}"
    for word in says:
        assert word in message, (word, message)
        assert word in text.stderr
    for word in hint:
        assert word in advice, (word, advice)
        assert word in text.stderr
    for word in (*never, "Traceback", "None"):
        assert word not in text.output + plain.output
    assert text.stderr.startswith("error: ")
    return f"{message} | {advice}"
