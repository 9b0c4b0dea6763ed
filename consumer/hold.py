"""A held partition: why it stopped, and how that is written beside its committed offset."""

from enum import StrEnum

import msgspec


class HoldKind(StrEnum):
    """What stopped a partition; a label of its metric, with what lets it go."""

    GUARD = "guard"
    REFUSED = "refused"
    OFFSET_GONE = "offset_gone"
    REGISTRY = "registry"


RELEASED_BY = {
    HoldKind.GUARD: "a pipeline file with another mapping, model or `stop_after`, or `onelane run --release`",
    HoldKind.REFUSED: "itself: it is tried again every minute",
    HoldKind.REGISTRY: "the registry's answer: it is asked again every few seconds",
    HoldKind.OFFSET_GONE: "an offset that exists, committed for the group while no worker runs, and a restart",
}


class Hold(msgspec.Struct, frozen=True):
    """Why a partition is held.

    Attributes:
        kind: what stopped it.
        why: for a person.
        cause: the most frequent cause among the dead letters, where these are why.
    """

    kind: HoldKind
    why: str
    cause: str = ""


class Note(msgspec.Struct, frozen=True, tag="hold", tag_field="onelane", omit_defaults=True):
    """A hold as the metadata of the offset committed with it: it outlives rebalances and restarts.

    The broker takes 4,096 bytes (``offset.metadata.max.bytes``).

    Attributes:
        by: what served when it was stopped: model, mapping and limits. The same is stopped again at once.
        why: as above.
        cause: as above.
        since: RFC 3339, UTC.
    """

    by: str
    why: str
    cause: str
    since: str


def write_note(hold: Hold, by: str, since: str) -> str:
    """Return the metadata of a hold's offset."""
    return msgspec.json.encode(Note(by=by, why=hold.why, cause=hold.cause, since=since)).decode()


def read_note(metadata: str) -> Note | None:
    """Return the note in an offset's metadata, if there is one: others may have written there."""
    try:
        return msgspec.json.decode(metadata, type=Note)
    except msgspec.DecodeError:
        return None
