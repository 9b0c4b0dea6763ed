"""Asks several workers for a page at once: one that does not answer holds up no other's answer."""

import selectors
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

import msgspec

_HEAD_END: Final = b"\r\n\r\n"
_PIECE: Final = 1 << 16
# Of a status line: the version, the status, its words.
_STATUS: Final = 1


class Answer(msgspec.Struct, frozen=True):
    """What a worker's page says.

    Attributes:
        status: of HTTP.
        body: as it came.
    """

    status: int
    body: bytes


def ask(addresses: Mapping[int, tuple[str, int]], path: str, patience: float) -> dict[int, Answer]:
    """Ask all for the same page.

    Args:
        addresses: on this machine, by the worker's number.
        path: of the page.
        patience: seconds that all together have.

    Returns:
        The answers that came whole and in time, by the worker's number.
    """
    until = time.monotonic() + patience
    answers: dict[int, Answer] = {}
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for number, address in addresses.items():
            asked = stack.enter_context(socket.socket())
            asked.settimeout(patience)
            try:
                # Loopback: the kernel answers at once, or refuses; the worker has no part in it.
                asked.connect(address)
                asked.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            except OSError:
                continue
            asked.setblocking(False)  # noqa: FBT003 - the standard library's own
            selector.register(asked, selectors.EVENT_READ, (number, bytearray()))
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                number, received = key.data
                if _more(key.fileobj, received):  # type: ignore[arg-type]  # sockets alone were registered
                    continue
                selector.unregister(key.fileobj)
                if (answer := _parsed(bytes(received))) is not None:
                    answers[number] = answer
    return answers


def _more(asked: socket.socket, received: bytearray) -> bool:
    """Take what has come; return whether more may."""
    try:
        piece = asked.recv(_PIECE)
    except BlockingIOError:
        return True
    except OSError:
        received.clear()
        return False
    received += piece
    return bool(piece)


def _parsed(received: bytes) -> Answer | None:
    """Read an answer of our own server's; None where it is not whole."""
    head, end, body = received.partition(_HEAD_END)
    first, *rest = head.split(b"\r\n")
    words = first.split()
    lengths = [line.partition(b":")[2].strip() for line in rest if line.lower().startswith(b"content-length:")]
    if not end or len(words) <= _STATUS or lengths != [b"%d" % len(body)]:
        return None
    return Answer(int(words[_STATUS]), body)
