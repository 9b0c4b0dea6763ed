"""The edge to a schema registry: Confluent's API, by confluent-kafka's client.

A registry that is away is nothing that an event could be blamed for. So a worker never waits for it for long: a fetch
goes on in a thread of its own while the lane that needs it waits and the loop goes round (``NotYetError``).

The schema of an id is kept for ever: ids never change their meaning. That there is none may pass: a follower of the
registry's leader learns of a schema later. It is asked twice, and again some time later.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final, TypeVar

import structlog

from consumer.exits import FatalBrokerError, RefusedError
from consumer.pipeline.findings import Finding, nearest
from consumer.pipeline.spec import Pipeline
from consumer.records.schemas import Reference, Schema, UnknownSchemaError
from consumer.types import NotYetError

_log = structlog.get_logger()

T = TypeVar("T")

# As long as a healthy registry takes, several times over; the loop stands still meanwhile.
_PATIENCE: Final = 0.25
# As the brokers are waited for at the start.
_START: Final = 30.0
_PAUSE: Final = 0.5
# As long as a follower may be behind; how long it is believed then that there is no such schema, and that it is not
# behind: each record of a topic full of junk may name another id. Of how many ids it is believed at a time.
_BEHIND: Final = 0.5
_BELIEVED: Final = 30.0
_UP_TO_DATE: Final = 5.0
_MOST_BELIEVED: Final = 1000
# Of one request, in seconds.
_TIMEOUT: Final = 5.0

_ABSENT: Final = range(40401, 40410)  # no subject, no version, no schema: codes of Confluent's API
_TRY_AGAIN: Final = (408, 425, 429)
_SERVER_ERRORS: Final = 500

SETTINGS: Final = frozenset(
    {
        "basic.auth.credentials.source",
        "basic.auth.user.info",
        "bearer.auth.client.id",
        "bearer.auth.client.secret",
        "bearer.auth.credentials.source",
        "bearer.auth.identity.pool.id",
        "bearer.auth.issuer.endpoint.url",
        "bearer.auth.logical.cluster",
        "bearer.auth.scope",
        "bearer.auth.token",
        "proxy",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "timeout",
        "url",
    }
)


def refused_settings(spec: Pipeline) -> list[Finding]:
    """Find settings of the registry that nobody knows, or that are missing."""
    if not spec.registry:
        return []
    findings = [
        Finding(("registry", name), "not a setting of confluent-kafka's registry client", nearest(name, SETTINGS))
        for name in spec.registry
        if name not in SETTINGS
    ]
    if not str(spec.registry.get("url", "")).startswith(("http://", "https://")):
        findings.append(Finding(("registry",), "`url` is missing, or no http address", "http://host:port"))
    return findings


class _AwayError(Exception):
    """The registry does not answer, or not to the question."""


class SchemaRegistry:
    """A registry as one who only reads sees it; see ``consumer.records.schemas.Registry``.

    Args:
        settings: of the pipeline's section ``registry``, which have been checked.
        patience: seconds to wait for a schema.

    Raises:
        RefusedError: the client is not installed, or does not take a setting's value.
    """

    def __init__(self, settings: Mapping[str, Any], patience: float = _PATIENCE) -> None:
        try:
            from confluent_kafka import schema_registry  # noqa: PLC0415 - 0.15 s, and an extra
        except ImportError as error:
            raise RefusedError(
                f"section registry needs an extra: pip install 'onelane[registry]' ({error})"
            ) from error
        self._api = schema_registry
        self._url = str(settings["url"])
        self._patience = patience
        self._fetches: dict[int, Future[Schema]] = {}
        # When it was found out that there is no schema: of an id, with the words, and of any after asking twice.
        self._unknown: dict[int, tuple[float, str]] = {}
        self._up_to_date_at = float("-inf")
        try:
            self._client = schema_registry.SchemaRegistryClient(
                {"timeout": _TIMEOUT, **settings, "max.retries": 0}  # whoever waits here tries again by itself
            )
        except (ValueError, TypeError, OSError) as error:
            raise RefusedError(f"registry: {error}") from error

    def close(self) -> None:
        """Let go of connections; a process that ends need not."""
        self._client.close()

    def schema(self, number: int) -> Schema:
        """Return the schema of an id."""
        self._refuse_unknown(number)
        if number not in self._fetches:
            self._fetches[number] = _begun(lambda: self._surely(number))
        fetch = self._fetches[number]
        try:
            return fetch.result(self._patience)
        except TimeoutError:
            raise NotYetError(f"the registry at {self._url} has not told yet what schema {number} is") from None
        except UnknownSchemaError as error:
            del self._fetches[number]
            raise self._unknown_now(number, error) from None
        except (_AwayError, RefusedError) as error:  # refused: a password that was changed, an address that was
            del self._fetches[number]
            raise NotYetError(f"schema {number} can't be had: {error}") from None

    def _refuse_unknown(self, number: int) -> None:
        """Refuse an id of which it was found out a short time ago that there is no schema.

        Each time by another exception: one that is raised again and again keeps all frames that it came through.
        """
        found_at, words = self._unknown.get(number, (float("-inf"), ""))
        if time.monotonic() - found_at < _BELIEVED:
            raise UnknownSchemaError(words)

    def _unknown_now(self, number: int, error: UnknownSchemaError) -> UnknownSchemaError:
        """Note that there is no schema of an id, and return what to raise."""
        self._unknown.pop(number, None)  # to the end: the oldest go first
        self._unknown[number] = (time.monotonic(), str(error))
        if len(self._unknown) > _MOST_BELIEVED:
            del self._unknown[next(iter(self._unknown))]
        return UnknownSchemaError(str(error))

    def latest(self, subject: str) -> Schema | None:
        """Return the latest schema of a subject."""
        try:
            return self._insisted(lambda: self._whole(self._client.get_latest_version(subject).schema))
        except UnknownSchemaError:
            return None

    def claim(self, subject: str, schema: Schema) -> int:
        """Return the id that a schema has under a subject."""
        try:
            found = self._insisted(lambda: self._client.lookup_schema(subject, self._theirs(schema)))
        except UnknownSchemaError:
            raise RefusedError(
                f"the registry at {self._url} has no such schema under {subject} yet: `onelane run` registers it, "
                "or register what `onelane schema --output` prints"
            ) from None
        return int(found.schema_id or 0)

    def _insisted(self, ask: Callable[[], T]) -> T:
        """Ask until there is an answer, for as long as brokers are waited for at the start."""
        deadline, said = time.monotonic() + _START, False
        while True:
            try:
                return self._asked(ask)
            except _AwayError as error:
                if time.monotonic() >= deadline:
                    raise FatalBrokerError(f"no registry within {_START:g} s: {error}") from None
                if not said:
                    _log.warning("the registry is waited for", seconds=_START, error=str(error))
                    said = True
                time.sleep(_PAUSE)

    def _asked(self, ask: Callable[[], T]) -> T:
        """Ask once, and tell apart what the registry says from its saying nothing."""
        try:
            return ask()
        except self._api.SchemaRegistryError as error:
            code, words = error.http_status_code, f"the registry at {self._url} says: {error}"
            if error.error_code in _ABSENT:
                raise UnknownSchemaError(words) from None
            if code in _TRY_AGAIN or code >= _SERVER_ERRORS:
                raise _AwayError(words) from None
            raise RefusedError(words) from None
        except Exception as error:  # noqa: BLE001 - which HTTP client it uses is the registry client's own affair
            raise _AwayError(f"no answer from {self._url}: {str(error) or type(error).__name__}") from None

    def _surely(self, number: int) -> Schema:
        """Return the schema of an id; that there is none must be said twice, unless it was so a moment ago."""
        try:
            return self._asked(lambda: self._fetch(number))
        except UnknownSchemaError:
            if time.monotonic() - self._up_to_date_at < _UP_TO_DATE:
                raise
        time.sleep(_BEHIND)
        try:
            return self._asked(lambda: self._fetch(number))
        except UnknownSchemaError:
            self._up_to_date_at = time.monotonic()
            raise

    def _fetch(self, number: int) -> Schema:
        return self._whole(self._client.get_schema(number))

    def _whole(self, schema: Any) -> Schema:  # noqa: ANN401 - the client's
        references = tuple(
            Reference(
                one.name,
                one.subject,
                one.version,
                self._whole(self._client.get_version(one.subject, one.version).schema),
            )
            for one in schema.references or ()
        )
        return Schema(schema.schema_type or "AVRO", schema.schema_str, references)

    def _theirs(self, schema: Schema) -> Any:  # noqa: ANN401
        references = [self._api.SchemaReference(one.name, one.subject, one.version) for one in schema.references]
        return self._api.Schema(schema.text, schema.kind, references)


class PatientRegistry(SchemaRegistry):
    """A registry as one sees it who reads and has no lanes that could go on meanwhile: a file, a replay."""

    def schema(self, number: int) -> Schema:
        """Return the schema of an id, waited for as at the start.

        Raises:
            FatalBrokerError: the registry does not answer.
        """
        self._refuse_unknown(number)
        try:
            return self._insisted(lambda: self._fetch(number))
        except UnknownSchemaError as error:
            raise self._unknown_now(number, error) from None


class RegisteringRegistry(SchemaRegistry):
    """A registry as a worker sees it, which may add a schema of its own."""

    def claim(self, subject: str, schema: Schema) -> int:
        """Register a schema, unless it is there; the registry checks whether it goes with those before it."""
        return self._insisted(lambda: int(self._client.register_schema(subject, self._theirs(schema))))


class UnclaimedRegistry(SchemaRegistry):
    """A registry as one sees it who only wants to know which schema a pipeline would have."""

    def claim(self, subject: str, schema: Schema) -> int:
        """Return 0, whatever the registry would say."""
        del subject, schema
        return 0


class CheckingRegistry(SchemaRegistry):
    """A registry as lint sees it: asked whether it would take a schema, and left as it is."""

    def claim(self, subject: str, schema: Schema) -> int:
        """Return 0 where the registry would take the schema."""
        try:
            taken = self._insisted(lambda: self._client.test_compatibility(subject, self._theirs(schema)))
        except UnknownSchemaError:  # no such subject: it is going to be the first
            taken = True
        if not taken:
            raise RefusedError(
                f"the registry at {self._url} says that {subject} would not go with its latest version"
            )
        return 0


def _begun(work: Callable[[], T]) -> "Future[T]":
    """Do something in a thread that does not keep the process from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    Thread(target=run, name="registry", daemon=True).start()
    return future
