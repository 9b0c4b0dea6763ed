"""The shape of the code: who may import whom, and how long a module may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted((ROOT / "consumer").rglob("*.py"))
}

EDGES = {
    "confluent_kafka": "consumer.kafka",
    "ai_edge_litert": "consumer.model",
    "tflite_runtime": "consumer.model",
}

# These are given whatever touches the world: a clock, an interpreter, a broker.
PURE = (
    "consumer.lane",
    "consumer.cases",
    "consumer.isolate",
    "consumer.enrich",
    "consumer.filter",
    "consumer.hooks",
    "consumer.trial",
    "consumer.worker",
    "consumer.guard",
    "consumer.hold",
    "consumer.holds",
    "consumer.observer",
    "consumer.types",
    "consumer.broker",
    "consumer.sources",
    "consumer.records",
    "consumer.shape",
    "consumer.features",
    "consumer.deadletter",
    "consumer.pipeline",
    "consumer.plan.advice",
    "consumer.plan.capacity",
    "consumer.plan.measured",
    "consumer.plan.page",
    "consumer.plan.shape",
    "consumer.supervise.merging",
    "consumer.supervise.rules",
    "consumer.supervise.silence",
)

# From what knows all to what knows nothing; a part imports from those below it alone. Parts on one line do not
# import each other.
ORDER = (
    ("consumer.__main__",),
    ("consumer.cli",),
    ("consumer.demo", "consumer.testing", "consumer.authoring", "consumer.plan", "consumer.supervise"),
    ("consumer.assembly",),
    (
        "consumer.worker",
        "consumer.cases",
        "consumer.enrich",
        "consumer.filter",
        "consumer.fit",
        "consumer.formats",
        "consumer.shape",
        "consumer.files",
        "consumer.kafka",
    ),
    ("consumer.holds", "consumer.operate"),
    ("consumer.observer",),
    ("consumer.broker", "consumer.guard", "consumer.hold"),
    ("consumer.lane", "consumer.features", "consumer.records"),
    ("consumer.trial",),
    ("consumer.hooks", "consumer.model"),
    ("consumer.isolate",),
    ("consumer.pipeline", "consumer.sources"),
    ("consumer.deadletter",),
    ("consumer.types", "consumer.exits"),
    ("consumer",),
)


def imports(module: str) -> Iterator[str]:
    """Return the modules that a module imports anywhere in it, also by name."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            yield node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            yield from re.findall(r"^(?:confluent_kafka|ai_edge_litert|tflite_runtime)(?:\.\w+)*$", node.value)


def within(module: str, package: str) -> bool:
    """Return whether a module is a package or in it."""
    return module == package or module.startswith(package + ".")


def part(module: str) -> str:
    """Return the part of the program that a module belongs to."""
    return ".".join(module.removesuffix(".__init__").split(".")[:2])


@pytest.mark.parametrize("edge", EDGES)
def test_only_one_package_knows_each_edge(edge: str) -> None:
    """Kafka's client in consumer.kafka, the engines in consumer.model, however they are imported."""
    importers = {module for module in MODULES for name in imports(module) if within(name, edge)}
    assert importers
    assert all(within(module, EDGES[edge]) for module in importers), importers


@pytest.mark.parametrize("package", PURE)
def test_pure_modules_import_no_edge(package: str) -> None:
    """Neither directly nor by way of other modules of ours, except for what consumer.model says of tensors."""
    modules = [module for module in MODULES if within(module, package)]
    assert modules
    for module in modules:
        assert not {name for name in reached(module) if any(within(name, edge) for edge in EDGES)}


def reached(module: str) -> set[str]:
    """Return all that importing a module imports, ours and others'."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imports(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting += [known for known in (name, f"{name}.__init__") if known in MODULES]
    return found


def test_imports_point_one_way() -> None:
    """From the command line down to the plain types; parts of one line do not know each other."""
    level = {name: number for number, parts in enumerate(ORDER) for name in parts}
    assert {part(module) for module in MODULES} == level.keys()
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in imports(module)
        if within(name, "consumer") and part(name) != part(module) and level[part(name)] <= level[part(module)]
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_above_400_lines(module: str) -> None:
    """One that grows past it has two subjects."""
    assert len(MODULES[module].read_text().splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES)
def test_every_noqa_names_its_rule(module: str) -> None:
    """A bare one would hide whatever comes to stand on its line; the same for type: ignore."""
    for number, line in enumerate(MODULES[module].read_text().splitlines(), 1):
        assert "# noqa" not in line or re.search(r"# noqa: [A-Z]+[0-9]+", line), f"{module}:{number}"
        assert "# type: ignore" not in line or re.search(r"# type: ignore\[[a-z-]+", line), f"{module}:{number}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    """In its first line."""
    assert ast.get_docstring(ast.parse(MODULES[module].read_text()))


def test_only_the_experiment_asks_for_threads() -> None:
    """Invariant 6: every other interpreter has one, by the default of the one function that finds engines."""
    asking = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "find_engine"
        and len(node.args) + len(node.keywords) > 1
    }
    assert asking == {"consumer.plan.replica"}


# Where the wall clock is read, or handed on to be read, and what for: never to time anything.
WALL_CLOCK = {
    "consumer.kafka.delivery:ExactlyOnce._begin": "compared with when brokers say that a transaction began",
    "consumer.kafka.targets:InputTarget.__init__": "the age of events that are put back, by their timestamps",
    "consumer.holds:Holds.count": "since when a partition is held, for people who read the note",
    "consumer.operate.vitals:Watcher.__init__": "the lag in seconds, by the events' timestamps",
    "consumer.operate.front:Front.__init__": "times in the probes' body, for people; and the same lag",
    "consumer.cli.dead_letters.list:command": "the age of dead letters, by their timestamps",
    "consumer.cli.dead_letters.replay:_replay.reading": "the age of dead letters, by their timestamps",
    "consumer.cli.options:moment": "what a person means by `2h` ago",
}
WALL_READERS = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime", "clock_gettime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def wall_clock_readers(module: str) -> Iterator[str]:
    """Return the functions of a module that name a reader of the wall clock, called or not: `module:Class.name`."""

    def visit(node: ast.AST, inside: tuple[str, ...]) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in WALL_READERS.get(owner, ()):
                yield f"{module}:{'.'.join(inside)}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            assert not WALL_READERS["time"] & {alias.name for alias in node.names}, f"{module}: say time.time"
        if isinstance(node, ast.Import):
            assert not [a for a in node.names if a.name in ("time", "datetime") and a.asname], f"{module}: no alias"
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(ast.parse(MODULES[module].read_text()), ())


def test_nothing_is_timed_by_the_wall_clock() -> None:
    """It jumps; batches, checkpoints, time-outs and back-offs count on the monotonic clock."""
    assert {reader for module in MODULES for reader in wall_clock_readers(module)} == WALL_CLOCK.keys()
