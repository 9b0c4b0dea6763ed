"""What can't be meant with the filter of a pipeline file."""

from collections.abc import Iterator

from consumer.pipeline.expression import ExpressionError, compile_expression
from consumer.pipeline.findings import Finding
from consumer.pipeline.paths import is_part
from consumer.pipeline.spec import Pipeline


def filtering(spec: Pipeline) -> Iterator[Finding]:
    """Find what is well-formed but can't be meant."""
    if spec.when is None:
        if spec.otherwise != "pass":
            yield Finding(("otherwise",), "there is no `when`", "say which events are for the model")
        return
    try:
        fields = compile_expression(spec.when).fields
    except ExpressionError as error:
        yield Finding(("when",), f"at character {error.column}: {error}", error.hint)
        return
    if not fields:
        yield Finding(("when",), "reads no field: it says the same of every event")
    if spec.input.format == "raw":
        for field in fields:
            if not is_part(field):
                yield Finding(
                    ("when",), f"raw events have no field {field}", "only @value, @key, @timestamp, @headers"
                )
    yield from _passing(spec)


def _passing(spec: Pipeline) -> Iterator[Finding]:
    """Events that pass as they are must be records that readers of the output topic can take."""
    if spec.otherwise == "drop":
        return
    where, hint = ("when",), "say `otherwise: drop`"
    if spec.output_format != spec.input.format:
        yield Finding(where, f"{spec.input.format} events can't pass among {spec.output_format} records", hint)
    elif spec.input.format == "avro" and not spec.registry:
        yield Finding(where, "Avro events can't pass among records of another schema without a registry", hint)
