"""The edge to a schema registry, against a real one."""

import json
import ssl
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Protocol, Self

import pytest
from confluent_kafka.schema_registry import Schema as TheirSchema
from confluent_kafka.schema_registry import SchemaReference, SchemaRegistryClient

from consumer.exits import FatalBrokerError, RefusedError
from consumer.kafka import registry as edge
from consumer.kafka.registry import CheckingRegistry, PatientRegistry, RegisteringRegistry, SchemaRegistry
from consumer.records.schemas import Schema, UnknownSchemaError
from consumer.types import NotYetError
from tests.support.apicurio import Apicurio, url
from tests.support.command import onelane
from tests.support.flights import FLIGHTS, flights_beside
from tests.support.pipelines import changed
from tests.support.processes import HOST, free_port
from tests.support.topics import wait_until

NUMBER = Schema("AVRO", '{"type":"record","name":"A","fields":[{"name":"a","type":"long"}]}')
TEXT = Schema("AVRO", '{"type":"record","name":"A","fields":[{"name":"a","type":"string"}]}')
MORE = Schema("AVRO", '{"type":"record","name":"A","fields":[{"name":"a","type":"long"},'
              '{"name":"b","type":"long","default":0}]}')  # fmt: skip


class Open(Protocol):
    """Opens a registry, which is closed with the test."""

    def __call__(self, address: str, kind: type[SchemaRegistry] = SchemaRegistry, **settings: Any) -> SchemaRegistry:  # noqa: ANN401
        """`settings` are those of SchemaRegistry."""
        ...


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens registries as the worker does."""
    with ExitStack() as stack:

        def make(address: str, kind: type[SchemaRegistry] = SchemaRegistry, **settings: Any) -> SchemaRegistry:  # noqa: ANN401
            return stack.enter_context(closing(kind({"url": address}, **settings)))

        yield make


@pytest.fixture
def theirs(registry: Apicurio) -> Iterator[SchemaRegistryClient]:
    """A client of our own, as a producer has."""
    with closing(SchemaRegistryClient({"url": registry.url})) as made:
        yield made


def checked(theirs: SchemaRegistryClient, subject: str) -> str:
    """Register a schema, and have the registry check those that follow."""
    theirs.register_schema(subject, TheirSchema(NUMBER.text, "AVRO"))
    theirs.set_compatibility(subject, "BACKWARD")
    return subject


def test_a_schema_is_registered_once_and_found_by_its_id(
    registry: Apicurio, unique: Callable[[str], str], opened: Open
) -> None:
    """As text, as it was given."""
    ours = opened(registry.url, RegisteringRegistry, patience=10)
    subject = unique("a-value")
    assert ours.latest(subject) is None
    number = ours.claim(subject, NUMBER)
    assert ours.claim(subject, NUMBER) == number
    assert opened(registry.url).claim(subject, NUMBER) == number
    for found in (ours.schema(number), ours.latest(subject)):
        assert found is not None
        assert (found.kind, json.loads(found.text)) == ("AVRO", json.loads(NUMBER.text))


def test_references_come_along(
    registry: Apicurio, unique: Callable[[str], str], opened: Open, theirs: SchemaRegistryClient
) -> None:
    """And are given back with a schema that has them."""
    ours = opened(registry.url, RegisteringRegistry, patience=10)
    place, trip = unique("place"), unique("trip")
    ours.claim(place, Schema("AVRO", '{"type":"record","name":"Place","fields":[]}'))
    text = '{"type":"record","name":"Trip","fields":[{"name":"to","type":"Place"}]}'
    number = theirs.register_schema(trip, TheirSchema(text, "AVRO", [SchemaReference("Place", place, 1)]))
    found = ours.schema(number)
    assert [(one.name, one.subject, one.version) for one in found.references] == [("Place", place, 1)]
    assert json.loads(found.references[0].schema.text)["name"] == "Place"
    assert ours.claim(trip, found) == number


def test_an_id_that_is_not_there_is_told(registry: Apicurio, opened: Open) -> None:
    """The registry has said it."""
    with pytest.raises(UnknownSchemaError, match="999999"):
        opened(registry.url, patience=10).schema(999_999)


def test_a_schema_that_does_not_go_with_the_last_is_refused_in_the_registrys_words(
    registry: Apicurio, unique: Callable[[str], str], opened: Open, theirs: SchemaRegistryClient
) -> None:
    """By a worker when it registers, and by lint before."""
    subject = checked(theirs, unique("b-value"))
    with pytest.raises(RefusedError, match="not compatible"):
        opened(registry.url, RegisteringRegistry).claim(subject, TEXT)
    with pytest.raises(RefusedError, match="would not go with its latest version"):
        opened(registry.url, CheckingRegistry).claim(subject, TEXT)


def test_lint_registers_nothing(
    registry: Apicurio, unique: Callable[[str], str], opened: Open, theirs: SchemaRegistryClient
) -> None:
    """It asks whether it could be."""
    subject = checked(theirs, unique("c-value"))
    checking = opened(registry.url, CheckingRegistry)
    assert (checking.claim(subject, MORE), checking.claim(unique("new-value"), MORE)) == (0, 0)
    assert theirs.get_versions(subject) == [1]


def test_lint_warns_of_fields_that_the_latest_schema_lacks(
    registry: Apicurio, unique: Callable[[str], str], theirs: SchemaRegistryClient, tmp_path: Path
) -> None:
    """A later one may have them, so it is no more than that."""
    topic = unique("flights")
    theirs.register_schema(f"{topic}-value", TheirSchema((FLIGHTS / "flights.avsc").read_text(), "AVRO"))
    path = flights_beside(tmp_path, f"registry: {{url: '{registry.url}'}}\n")
    text = path.read_text().replace("{topic: flights, format: json,", f"{{topic: {topic}, format: avro,")
    path.write_text(changed("field: dep_delay", "field: depdelay", text))
    found = json.loads(onelane("lint", path, "--json").stdout)["findings"]
    assert [(one["severity"], one["field"], one["message"], one["hint"]) for one in found] == [
        (
            "warning",
            "model.inputs.features[0]",
            "the schema of events has no field `depdelay`",
            "did you mean `dep_delay`?",
        )
    ]
    assert onelane("lint", path).returncode == 0
    assert onelane("lint", path, "--strict").returncode == 5


def test_what_only_reads_says_that_a_schema_is_not_registered(
    registry: Apicurio, unique: Callable[[str], str], opened: Open
) -> None:
    """And how to register it."""
    with pytest.raises(RefusedError, match="`onelane run` registers it"):
        opened(registry.url).claim(unique("d-value"), NUMBER)


def test_a_registry_that_is_away_is_nobodys_fault(opened: Open) -> None:
    """Not yet, each time anew."""
    ours = opened(url(f"{HOST}:{free_port()}"))
    for _ in range(3):
        with pytest.raises(NotYetError, match="schema 1 can't be had: no answer from http://127"):
            ours.schema(1)


def test_a_registry_that_does_not_come_ends_the_start(monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    """Like brokers that do not."""
    monkeypatch.setattr(edge, "_START", 1.0)
    with pytest.raises(FatalBrokerError, match="no registry within 1 s: no answer from"):
        opened(url(f"{HOST}:{free_port()}")).latest("a-value")


class Answers:
    """A server that gives the same answer to everything, slowly where asked.

    Args:
        status: of HTTP; by and by the status and body of `later` instead, one after the other.
        body: what it says.
        after: seconds before it does.
        tls: how it speaks TLS, if it does.
    """

    def __init__(self, status: int, body: bytes, after: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self.authorisations: list[str | None] = []
        self.later: list[tuple[int, bytes]] = []
        self.answer = (status, body)
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers.authorisations.append(self.headers["Authorization"])
                time.sleep(after)
                status, body = answers.answer
                if answers.later:
                    answers.answer = answers.later.pop(0)
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401
                """Say nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away
        self._thread = Thread(target=self._server.serve_forever, name="answers")
        self.address = f"{'http' if tls is None else 'https'}://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"error_code":50001,"message":"the store is away"}'),
        (503, b"<html>"),
        (429, b'{"error_code":429,"message":"slower"}'),
        (401, b'{"error_code":401,"message":"who are you"}'),
        (404, b"<html>no such page</html>"),
        (404, b'{"error_code":404,"message":"HTTP 404 Not Found"}'),
        (200, b"not json"),
    ],
)
def test_an_answer_that_does_not_speak_of_the_id_decides_nothing(opened: Open, status: int, body: bytes) -> None:
    """A proxy's page, a wrong path or a changed password would else turn a topic into dead letters."""
    with Answers(status, body) as server, pytest.raises(NotYetError):
        opened(server.address, patience=10).schema(1)


NO_SCHEMA = (404, b'{"error_code":40403,"message":"Schema not found"}')
A_SCHEMA = (200, json.dumps({"schema": NUMBER.text}).encode())


def test_that_there_is_no_schema_is_asked_twice(opened: Open) -> None:
    """A follower of the registry's leader may be behind: records of a new schema would be dead letters."""
    with Answers(*NO_SCHEMA) as server:
        server.later = [A_SCHEMA]
        assert opened(server.address, patience=10).schema(1).text == NUMBER.text


def test_that_there_is_no_schema_is_believed_for_a_while(monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    """No longer: it may be registered meanwhile. Of many ids that are not there, not each is asked twice."""
    with Answers(*NO_SCHEMA) as server:
        ours = opened(server.address, patience=10)
        for number, asked in ((1, 2), (1, 2), (2, 3), (3, 4), (1, 4)):
            with pytest.raises(UnknownSchemaError):
                ours.schema(number)
            assert len(server.authorisations) == asked
        server.answer = A_SCHEMA
        monkeypatch.setattr(edge, "_BELIEVED", 0.0)
        assert ours.schema(1).text == NUMBER.text


@pytest.mark.parametrize("kind", [SchemaRegistry, PatientRegistry])
def test_junk_takes_no_memory(monkeypatch: pytest.MonkeyPatch, opened: Open, kind: type[SchemaRegistry]) -> None:
    """Neither many ids that are not there, nor one again and again: an exception keeps each way it was raised."""
    monkeypatch.setattr(edge, "_MOST_BELIEVED", 2)
    with Answers(*NO_SCHEMA) as server:
        ours = opened(server.address, kind, patience=10)
        depths = set()
        for number in (1, 2, 3, 4, 4, 4, 4):
            with pytest.raises(UnknownSchemaError) as caught:
                ours.schema(number)
            depths.add(len(traceback.extract_tb(caught.value.__traceback__)))
        assert max(depths) <= 3
        assert (list(ours._unknown), ours._fetches) == ([3, 4], {})


def test_a_slow_registry_is_not_waited_for_but_its_answer_is_taken(opened: Open) -> None:
    """The loop goes round meanwhile; the question is asked once."""
    with Answers(200, json.dumps({"schema": NUMBER.text}).encode(), after=0.8) as server:
        ours = opened(server.address)
        began = time.monotonic()
        with pytest.raises(NotYetError, match="has not told yet what schema 1 is"):
            ours.schema(1)
        assert time.monotonic() - began < 0.7

        def told() -> Schema | None:
            try:
                return ours.schema(1)
            except NotYetError:
                return None

        assert wait_until(lambda: told() is not None, 10, "no answer")
        assert ours.schema(1).text == NUMBER.text
        assert len(server.authorisations) == 1


def test_a_password_is_sent_and_kept_out_of_messages() -> None:
    """Basic auth, in the setting of Confluent's client."""
    with (
        Answers(401, b"{}") as server,
        closing(SchemaRegistry({"url": server.address, "basic.auth.user.info": "me:secret"}, patience=10)) as ours,
        pytest.raises(NotYetError) as caught,
    ):
        ours.schema(1)
    assert server.authorisations == ["Basic bWU6c2VjcmV0"]
    assert "secret" not in str(caught.value)


def test_without_lanes_to_serve_a_registry_is_waited_for(monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    """As `onelane enrich` and a replay do."""
    with Answers(200, json.dumps({"schema": NUMBER.text}).encode(), after=0.5) as server:
        assert opened(server.address, PatientRegistry).schema(1).text == NUMBER.text
    monkeypatch.setattr(edge, "_START", 0.5)
    with pytest.raises(FatalBrokerError, match="no registry within"):
        opened(url(f"{HOST}:{free_port()}"), PatientRegistry).schema(1)


def test_tls_and_a_certificate_of_ones_own(tmp_path: Path) -> None:
    """The registry is known by its authority, and knows us by a certificate; without either there is no talk."""
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName=IP:{HOST}"]
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run([*openssl, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    both.load_cert_chain(certificate, key)
    both.verify_mode = ssl.CERT_REQUIRED
    ours = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
    with Answers(200, json.dumps({"schema": NUMBER.text}).encode(), tls=both) as server:
        trusting = {"url": server.address, "ssl.ca.location": str(certificate)}
        with closing(SchemaRegistry({**trusting, **ours}, patience=10)) as registry:
            assert registry.schema(1).text == NUMBER.text
        for settings in (trusting, {"url": server.address, **ours}):
            with closing(SchemaRegistry(settings, patience=10)) as registry, pytest.raises(NotYetError):
                registry.schema(1)


@pytest.mark.parametrize("settings", [{"ssl.ca.location": "/no/such/file"}, {"basic.auth.user.info": "nobody"}])
def test_a_setting_that_the_client_does_not_take_ends_the_start(settings: dict[str, str]) -> None:
    """With what it says of it."""
    with pytest.raises(RefusedError, match="registry: "):
        SchemaRegistry({"url": "https://localhost:1", **settings})
