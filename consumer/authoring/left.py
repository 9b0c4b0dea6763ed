"""Why fields of a sample are left out of a drafted pipeline file."""

from consumer.authoring.fields import MOST_ENTRIES, Field

NO_ROOM = "the model's inputs have no room for them"


def why_left(field: Field) -> str:  # noqa: PLR0911 - one a reason
    """Return why a field is no good for a column; empty where it is."""
    if not field.present:
        return "they are null in all events"
    if field.is_rare:
        return "hardly any event has them"
    if field.types["list"] or field.types["object"]:
        return "" if field.is_vector else "they are objects, or lists that are not always numbers of one length"
    if field.is_date:
        return "they are times, but not RFC 3339 (2026-01-31T08:00:00Z)"
    if field.is_constant:
        return "they are always the same"
    if field.is_identifier:
        return "they tell events apart"
    if field.is_long:
        return "their texts are long"
    if field.kind == "text" and field.many:
        return f"they have more than {MOST_ENTRIES:,} different texts"
    return "their values are of several types" if field.kind == "mixed" else ""
