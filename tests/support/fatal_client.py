"""Stands in for `python -m consumer` with a consumer that dies in a poll, for good, once the file DIES_ONCE is there.

As one that librdkafka gives up, which fails each later call. It takes the file away: the next worker lives.
"""

import os
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

FILE = Path(os.environ["DIES_ONCE"])


class Consumer(confluent_kafka.Consumer):
    """A consumer that dies."""

    dead = False

    def poll(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes
        """Raise from the time on at which the file was there."""
        if FILE.exists():
            FILE.unlink()
            self.dead = True
        if self.dead:
            raise KafkaException(KafkaError(KafkaError._FATAL, "the consumer is dead", fatal=True))
        return super().poll(*arguments, **options)


# Before anything of ours imports it by name.
vars(confluent_kafka)["Consumer"] = Consumer

if __name__ == "__main__":
    from consumer.cli import main

    main()
