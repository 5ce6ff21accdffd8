"""Bytes to text: marks, encodings, and what is said when it is neither."""

import codecs

import pytest

from procver.errors import SourceError
from procver.project.sources import decode


@pytest.mark.parametrize("text", ["", "SELECT 1\r\n-- é 名 😀\n", "\n\r\n\r"])
def test_marks_and_ends_of_line(text):
    assert decode(text.encode(), "utf-8") == text
    assert decode(codecs.BOM_UTF8 + text.encode(), "cp1252") == text
    assert decode(codecs.BOM_UTF16_LE + text.encode("utf-16-le"), "utf-8") == text
    assert decode(codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "utf-8") == text


def test_the_configured_encoding():
    assert decode(b"\xe9", "cp1252") == "é"
    assert decode("é".encode("utf-16-le"), "utf-16-le") == "é"


@pytest.mark.parametrize(
    ("data", "encoding", "message", "line"),
    [
        (b"a\n\xe9\n", "utf-8", "is not UTF-8 (the default): byte 2 is 0xe9", 2),
        (codecs.BOM_UTF8 + b"a\n\n\xe9", "cp1252", "is not UTF-8 (its byte order mark", 3),
        (codecs.BOM_UTF16_LE + b"a\0\n", "utf-8", "an odd number of bytes, 5", None),
        (codecs.BOM_UTF16_BE + b"\0\n\xd8\0", "utf-8", "byte 4 is 0xd8", 2),
        (b"a\n\x81", "cp1252", "is not CP1252 (procver.toml): byte 2 is 0x81", 2),
        ("a\nb".encode("utf-16-le"), "utf-8", "UTF-16 without a byte order mark", 1),
    ],
)
def test_refused_with_byte_and_line(data, encoding, message, line):
    with pytest.raises(SourceError) as caught:
        decode(data, encoding)
    assert message in str(caught.value)
    assert caught.value.line == line
    assert "UTF-8" in caught.value.hint
