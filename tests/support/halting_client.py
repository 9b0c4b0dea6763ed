"""Stands in for `python -m consumer` with clients of Kafka that halt right before or after one of their calls.

HALT_AT names the call, which one of its kind, and the side, such as `Producer.commit_transaction:3:before`. The
worker then says "halted" in its log, and goes on once the file HALT_UNTIL is there.
"""

import os
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka.admin import AdminClient

WHERE, NUMBER, SIDE = os.environ["HALT_AT"].split(":")
UNTIL = Path(os.environ["HALT_UNTIL"])
CLIENT, _, METHOD = WHERE.partition(".")


def _halt() -> None:
    sys.stderr.write('{"event": "halted"}\n')
    while not UNTIL.exists():
        time.sleep(0.005)


def _halting(call: Callable[..., Any]) -> Callable[..., Any]:
    """A call at which a client halts."""
    numbers = count(1)

    def halting(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the client takes
        here = next(numbers) == int(NUMBER)
        if here and SIDE == "before":
            _halt()
        answer = call(self, *arguments, **options)
        if here and SIDE == "after":
            _halt()
        return answer

    return halting


def _replace() -> None:
    """Before anything of ours imports them by name."""
    if CLIENT == "AdminClient":  # which asks for itself by its name
        setattr(AdminClient, METHOD, _halting(getattr(AdminClient, METHOD)))
        return
    client = getattr(confluent_kafka, CLIENT)  # written in C: can't be changed
    setattr(confluent_kafka, CLIENT, type(CLIENT, (client,), {METHOD: _halting(getattr(client, METHOD))}))


_replace()

if __name__ == "__main__":
    from consumer.cli import main

    main()
