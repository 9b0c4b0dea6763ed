"""Registries for tests that are about formats, not about registries; the real one is in `tests.support.apicurio`."""

from consumer.exits import RefusedError
from consumer.records.schemas import Schema, UnknownSchemaError
from consumer.types import NotYetError


class Registry:
    """Keeps schemas in memory, with ids from 1; away where a test says so."""

    def __init__(self) -> None:
        self._schemas: list[Schema] = []
        self._subjects: dict[str, Schema] = {}
        self.asked: list[int] = []
        self.away = False
        self.refusal = ""

    def add(self, schema: Schema, subject: str = "") -> int:
        """Register a schema as a producer does."""
        if subject:
            self._subjects[subject] = schema
        if schema not in self._schemas:
            self._schemas.append(schema)
        return self._schemas.index(schema) + 1

    def forget(self, subject: str) -> None:
        """Have no schema under a subject; its id stays."""
        self._subjects.pop(subject, None)

    def schema(self, number: int) -> Schema:
        """Return the schema of an id."""
        self.asked.append(number)
        if self.away:
            raise NotYetError("the registry is away")
        if not 0 < number <= len(self._schemas):
            raise UnknownSchemaError("there is none")
        return self._schemas[number - 1]

    def latest(self, subject: str) -> Schema | None:
        """Return the latest schema of a subject."""
        return self._subjects.get(subject)

    def claim(self, subject: str, schema: Schema) -> int:
        """Return the id of a schema under a subject."""
        if self.refusal:
            raise RefusedError(self.refusal)
        return self.add(schema, subject)
