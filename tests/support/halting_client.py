"""Stands in for `python -m consumer` with a class that halts right before or after one of its calls.

HALT_AT names the call, which one of its kind, and the side, such as `Producer.commit_transaction:3:before`; a class
that is none of confluent_kafka's has its module in front. Calls count once the file HALT_FROM is there, or from the
start. The worker then says "halted" in its log, and goes on once the file HALT_UNTIL is there.
"""

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

WHERE, NUMBER, SIDE = os.environ["HALT_AT"].split(":")
FROM = os.environ.get("HALT_FROM")
UNTIL = Path(os.environ["HALT_UNTIL"])
PLACE, _, METHOD = WHERE.rpartition(".")
MODULE, _, CLASS = PLACE.rpartition(".")


def _halt() -> None:
    sys.stderr.write('{"event": "halted"}\n')
    while not UNTIL.exists():
        time.sleep(0.005)


def _halting(call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that halts."""
    numbers = count(1)

    def halting(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes
        counts = FROM is None or Path(FROM).exists()
        here = counts and next(numbers) == int(NUMBER)
        if here and SIDE == "before":
            _halt()
        answer = call(self, *arguments, **options)
        if here and SIDE == "after":
            _halt()
        return answer

    return halting


def _replace() -> None:
    """Before anything of ours imports it by name."""
    module = import_module(MODULE or ("confluent_kafka.admin" if CLASS == "AdminClient" else "confluent_kafka"))
    whole = getattr(module, CLASS)
    halting = _halting(getattr(whole, METHOD))
    try:
        setattr(whole, METHOD, halting)
    except TypeError:  # written in C: can't be changed
        setattr(module, CLASS, type(CLASS, (whole,), {METHOD: halting}))


_replace()

if __name__ == "__main__":
    from consumer.cli import main

    main()
