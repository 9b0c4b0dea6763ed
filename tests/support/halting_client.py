"""Stands in for `python -m consumer` with clients of Kafka that halt right before one of their calls.

HALT_AT names the call and which one of its kind, such as `Producer.commit_transaction:3`. The worker then says
"halted" in its log, and goes on once the file HALT_UNTIL is there.
"""

import os
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import confluent_kafka

WHERE, _, NUMBER = os.environ["HALT_AT"].partition(":")
UNTIL = Path(os.environ["HALT_UNTIL"])
CLIENT, _, METHOD = WHERE.partition(".")


def _halting(client: type) -> type:
    """A client whose call is preceded by a halt."""
    call: Callable[..., Any] = getattr(client, METHOD)
    numbers = count(1)

    def halting(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the client takes
        if next(numbers) == int(NUMBER):
            sys.stderr.write('{"event": "halted"}\n')
            while not UNTIL.exists():
                time.sleep(0.005)
        return call(self, *arguments, **options)

    return type(CLIENT, (client,), {METHOD: halting})


# Before anything of ours imports them by name.
setattr(confluent_kafka, CLIENT, _halting(getattr(confluent_kafka, CLIENT)))

if __name__ == "__main__":
    from consumer.cli import main

    main()
