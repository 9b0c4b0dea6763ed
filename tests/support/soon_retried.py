"""Stands in for `python -m consumer` that tries again after RETRY_SECONDS what the broker refused."""

import os

import consumer.holds
from consumer.cli import main

vars(consumer.holds)["_RETRY"] = float(os.environ["RETRY_SECONDS"])

if __name__ == "__main__":
    main()
