"""Make up payments: nested events with fields missing and 64-bit identifiers, and which of them were fraud.

Run from the repository's root: `python -m examples.payments.make_events`. Nobody's data: a seeded rule that
`chance_of_fraud` says in full draws both. The same version of numpy gives the same bytes.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from examples.served import write_gzip, write_lines

Event = dict[str, Any]

HERE: Final = Path(__file__).parent
SEED: Final = 23

# Each part is drawn by a generator of its own.
PARTS: Final = {"training": 60_000, "validation": 10_000, "held out": 10_000}
SAMPLE: Final = 2400  # the first so many of the held-out payments are the example's events

FIRST_ID: Final = 7_301_000_000_000_000_001
START: Final = datetime(2026, 3, 2, tzinfo=UTC)

# The first of 100 merchants that differ in their last digits alone: as 64-bit floats they would be one and the same.
FIRST_MERCHANT: Final = 4_611_686_018_427_388_001
# Twenty older ones have small numbers, and come as 12, 12.0 and "12".
OLD_MERCHANTS: Final = 20
MERCHANTS: Final = 120

COUNTRIES: Final = ("AT", "BE", "CH", "DE", "DK", "ES", "FR", "GB", "IT", "NL", "PL", "SE")
FOREIGN: Final = ("BR", "NZ")  # in no vocabulary
RISKY_COUNTRIES: Final = {"BE": 0.9, "PL": -0.5, "SE": -0.7, "BR": 1.2, "NZ": 1.2}


class Merchants:
    """Who sells: what a purchase costs there, and how risky it is."""

    def __init__(self) -> None:
        rng = np.random.default_rng(SEED)
        self.typical = rng.normal(3.3, 0.8, MERCHANTS)  # log of the amount
        self.risk = rng.normal(0, 0.4, MERCHANTS)
        self.risk[rng.choice(MERCHANTS, 8, replace=False)] += 3.0

    @staticmethod
    def identifier(place: int, rng: np.random.Generator) -> int | float | str:
        """Give a merchant's identifier in one of the ways it is written."""
        ways: tuple[Any, ...]
        if place < OLD_MERCHANTS:
            ways = (int, float, str)
            return ways[rng.integers(3)](place + 1)
        ways = (int, int, int, str)
        return ways[rng.integers(4)](FIRST_MERCHANT + place)


def chance_of_fraud(event: Event, merchant_risk: float) -> float:
    """Say how likely the payment is to be fraud: the rule that the model has to find."""
    pay, card, user = event["pay"], event.get("card") or {}, event.get("user") or {}
    hour = int(event["at"][11:13])
    orders = user.get("orders")
    logit = -3.6 + merchant_risk
    logit += 0.55 * (np.log1p(float(pay["amount"])) - 3.4)
    logit += 1.1 if hour < 5 else 0.0  # noqa: PLR2004 - night
    logit -= 0.9 if card.get("present") else 0.0
    # Not to say how old the card is, is a sign of its own; so is a first order. A tip is the opposite.
    logit += 1.0 if card.get("age_days") is None else 1.3 - 0.3 * np.log1p(card["age_days"])
    logit += 0.6 if orders is None else -0.35 * np.log1p(orders)
    logit -= 1.5 if pay.get("tip") is not None else 0.0
    logit += RISKY_COUNTRIES.get(user.get("country"), 0.0)
    return float(1 / (1 + np.exp(-logit)))


def payment(number: int, merchants: Merchants, rng: np.random.Generator) -> tuple[Event, float]:
    """Make one payment; give it with its chance of being fraud."""
    place = int(rng.integers(MERCHANTS))
    amount = round(float(np.exp(rng.normal(merchants.typical[place], 0.9))), 2)
    at = START + timedelta(seconds=int(number * 37 + rng.integers(37)))
    event: Event = {
        "id": FIRST_ID + number * 4096,
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        # One till in twelve writes its amounts as text.
        "pay": {"amount": amount if rng.random() > 1 / 12 else f"{amount:.2f}", "currency": "EUR"},
        "merchant": {"id": merchants.identifier(place, rng)},
    }
    if rng.random() < 0.3:  # noqa: PLR2004
        event["pay"]["tip"] = round(float(rng.uniform(0.5, 10)), 2)
    event["card"] = _holes({"present": bool(rng.random() < 0.4), "age_days": int(rng.exponential(500))}, rng)  # noqa: PLR2004
    event["user"] = _holes({"country": _country(rng), "orders": int(rng.geometric(0.08)) - 1}, rng)
    count = int(rng.integers(4))
    event["items"] = [{"price": round(amount / count, 2), "quantity": int(rng.integers(1, 4))} for _ in range(count)]
    for part in ("card", "user", "items"):
        if rng.random() < 0.05:  # noqa: PLR2004
            del event[part]
    return event, chance_of_fraud(event, float(merchants.risk[place]))


def _country(rng: np.random.Generator) -> str:
    return str(rng.choice(FOREIGN) if rng.random() < 0.03 else rng.choice(COUNTRIES))  # noqa: PLR2004


def _holes(fields: Event, rng: np.random.Generator) -> Event:
    """Leave a tenth of the fields out, and make another tenth null: the two mean the same."""
    fate = rng.random(len(fields))
    return {
        name: None if chance < 0.2 else value  # noqa: PLR2004
        for (name, value), chance in zip(fields.items(), fate, strict=True)
        if chance > 0.1  # noqa: PLR2004
    }


def payments(part: str) -> tuple[list[Event], np.ndarray, np.ndarray]:
    """Give a part's payments, whether each was fraud, and how likely it was to be."""
    order = list(PARTS).index(part)
    rng = np.random.default_rng([SEED, order])
    merchants = Merchants()
    made = [payment(number, merchants, rng) for number in range(PARTS[part])]
    chances = np.array([chance for _, chance in made])
    return [event for event, _ in made], rng.random(len(made)) < chances, chances


def broken(event: Event) -> list[Event]:
    """Give what else comes, each a dead letter."""
    return [
        event | {"pay": {"amount": "a lot", "currency": "EUR"}},
        event | {"pay": 12.5},
        event | {"merchant": {}},
        event | {"merchant": {"id": True}},
        event | {"items": {"price": 12.5}},
        event | {"at": "yesterday"},
    ]


def main() -> None:
    """Write the events, their truth and the vocabulary beside this script."""
    events, frauds, _ = payments("held out")
    sample = events[:SAMPLE]
    rng = np.random.default_rng(SEED)
    rows = list(sample)
    for number, event in enumerate(broken(sample[0]), start=PARTS["held out"]):
        rows.insert(int(rng.integers(len(rows))), event | {"id": FIRST_ID + number * 4096})
    write_lines(HERE / "events.jsonl.gz", rows)
    known = [f"{event['id']},{int(fraud)}" for event, fraud in zip(sample, frauds, strict=False)]
    write_gzip(HERE / "truth.csv.gz", "".join(f"{line}\n" for line in ["id,fraud", *known]).encode())
    (HERE / "countries.txt").write_text("".join(f"{country}\n" for country in COUNTRIES))
    print(f"{len(rows)} events, {len(rows) - len(sample)} of them broken, {frauds[:SAMPLE].sum()} frauds")


if __name__ == "__main__":
    main()
