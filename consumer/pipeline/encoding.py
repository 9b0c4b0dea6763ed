"""Files are UTF-8; one that is not is told so that whoever saved it knows what to do."""

import codecs
from typing import Final

_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# What a file is that begins so: editors and shells of Windows write it.
UTF16: Final = "not UTF-8: it begins with a UTF-16 byte-order mark; save it as UTF-8"


def is_utf16(start: bytes) -> bool:
    """Return whether a file begins as UTF-16 does, and as no UTF-8, no JSON and no gzip does."""
    return start.startswith(_WIDE)


def not_utf8(error: UnicodeDecodeError) -> str:
    """Say what is wrong with a file that can't be decoded."""
    if error.start == 0 and is_utf16(error.object):
        return UTF16
    return f"not UTF-8 at byte {error.start}"
