"""From a pipeline file to something that makes enrichers: model opened, mapping fitted, batches proved."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from consumer.enrich import Enricher
from consumer.exits import PipelineError, RefusedError
from consumer.features.plan import ColumnPlan, MadeUpError
from consumer.filter import Filter
from consumer.fit import fit_inputs, fit_outputs
from consumer.formats import Formats, open_formats, schema_of
from consumer.guard import Limits
from consumer.holds import HoldRule
from consumer.kafka.registry import PatientRegistry
from consumer.lane import BatchRule, Reason
from consumer.model.engines import Engine, find_engine
from consumer.model.file import (
    ModelFile,
    Signature,
    cant_run,
    open_interpreter,
    read_model,
    read_signature,
    refuse_state,
)
from consumer.model.probe import Limit, Verdict, probe
from consumer.model.runner import Runner
from consumer.model.tensors import Interpreter
from consumer.operate.memory import cost
from consumer.pipeline.expression import compile_expression
from consumer.pipeline.features import fields_of
from consumer.pipeline.findings import Finding
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.hooks import HookSource
from consumer.pipeline.load import PipelineFile
from consumer.pipeline.mapping import each_feature
from consumer.pipeline.paths import is_part
from consumer.pipeline.spec import Model, Pipeline
from consumer.records.answers import OutputColumn
from consumer.records.columns import Columns
from consumer.records.hook_answers import HookColumn
from consumer.records.predictions import Predictions
from consumer.records.schemas import Registry
from consumer.records.values import predictions_of, value_of
from consumer.shape import impossible
from consumer.trial import trial_rows
from consumer.types import Enriching

# Bytes of a model above which lanes share an interpreter, unless the file says otherwise.
_HEAVY: Final = 256 * 1024


class Assembly(msgspec.Struct, frozen=True):
    """All that enrichers share; each gets an interpreter of its own."""

    file: PipelineFile
    engine: Engine
    model: ModelFile
    signature: Signature
    verdict: Verdict
    plan: ColumnPlan
    formats: Formats

    @property
    def rule(self) -> BatchRule:
        """When batches close, with the rows that the model's speed allows."""
        batch = self.file.spec.batch
        return BatchRule(
            rows=self.verdict.rows,
            bytes=batch.bytes,
            wait=batch.wait,
            row_bytes=self.plan.row_bytes,
            full=self._full,
        )

    @property
    def _full(self) -> Reason:
        rows = self.verdict.rows
        if rows == self.file.spec.batch.rows:
            return Reason.ROWS
        return Reason.BYTES if rows == _most_rows(self.file.spec, self.plan) else Reason.TIME

    @property
    def provenance(self) -> tuple[str, str]:
        """Model and pipeline, as dead letters carry them."""
        return self.model.label, self.file.label

    @property
    def shared(self) -> bool:
        """Whether all lanes have one interpreter: their thread is one and models keep no state.

        With six copies a row was measured to cost a tenth more at 0.6 and 2.4 MB, and nothing at 20 and 80 kB.
        """
        wanted = self.file.spec.model.interpreters
        return wanted == "shared" or (wanted == "auto" and len(self.model.content) > _HEAVY)

    def columns(self) -> Columns:
        """Return what gives the fields that features read."""
        return Columns(self.formats.reader, self.plan.fields)

    def interpreter_bytes(self) -> int:
        """Return what an interpreter takes in its largest batch, by making some.

        Engines don't tell: kernels keep packed weights and work space of their own.
        """
        rows = self.verdict.rows
        inputs = self.plan.samples(rows)
        # The load probe has run this one, while of so many as fill a batch some may be what the model fails on.
        proved = {name: np.repeat(array[:1], rows, axis=0) for name, array in self.plan.samples(2).items()}

        def make() -> Runner:
            runner = Runner(self.engine, self.model, self.signature, self.verdict.sizes)
            try:
                runner.run(inputs)
            except (RuntimeError, ValueError):
                runner.rebuild()
                runner.run(proved)
            return runner

        return cost(make)

    def hold_rule(self, *, release: bool) -> HoldRule:
        """When partitions are held.

        Args:
            release: let go what is found held.
        """
        letters = self.file.spec.dead_letters
        after = letters.stop_after
        guard = hashlib.sha256(msgspec.json.encode(after)).hexdigest()[:8]
        return HoldRule(
            limits=Limits(after.in_a_row, after.ratio, after.of_last, after.per_minute),
            serving=f"{self.model.label} {self.file.label} guard@{guard}",
            release=release,
            leave=letters.when_held == "exit",
        )

    def enrichers(self, watch: Callable[[Runner], Interpreter] = lambda runner: runner) -> Callable[[], Enriching]:
        """Return a factory: called once a lane, by the thread that will use what it makes.

        Args:
            watch: may put something around each interpreter.
        """

        def make() -> Enriching:
            runner = Runner(self.engine, self.model, self.signature, self.verdict.sizes)
            enricher = Enricher(self.formats.reader, self.plan, watch(runner), self.formats.writer)
            if self.formats.selector is None or spec.when is None:
                return enricher
            when = compile_expression(spec.when)
            return Filter(when, self.formats.selector, enricher, drop=spec.otherwise == "drop")

        spec = self.file.spec
        if not self.shared:
            return make
        shared: list[Enriching] = []

        def same() -> Enriching:
            if not shared:
                shared.append(make())
            return shared[0]

        return same


def assemble(file: PipelineFile, registry: Callable[[Mapping[str, Any]], Registry] = PatientRegistry) -> Assembly:
    """Open the model, fit the mapping, prove batches and settle schemas.

    Args:
        file: the pipeline.
        registry: opens the registry of a pipeline that has one, with its settings.

    Raises:
        PipelineError: the model can't be read.
        RefusedError: the engine lacks, the model can't be run, or the mapping does not fit it; all misfits in one
            message, each with its place in the pipeline file.
    """
    spec = file.spec
    findings: list[Finding] = []
    try:
        engine, model, signature, plan, columns = fit(spec.model, file.model, file.hooks, findings)
    except PipelineError as error:
        raise PipelineError(file.refusal([Finding(("model", "path"), str(error))])) from None
    except RefusedError as error:
        raise file.misfits([Finding(_chosen(spec.model), str(error))]) from None
    if file.schema is not None:
        findings += impossible(spec, schema_of(spec, file.schema))
    if findings:
        raise file.misfits(findings)
    signature = _only_read(signature, columns)
    provenance = {"model": model.label, "pipeline": file.label}
    dtypes = {name: "float32" if tensor.scale else tensor.dtype for name, tensor in signature.outputs.items()}
    kinds = {name: value_of(output, dtypes) for name, output in spec.model.outputs.items()}
    formats = open_formats(
        file,
        {field: kind for field, kind in plan.fields.items() if not is_part(field)},
        Predictions(columns, provenance),
        predictions_of(kinds, provenance),
        registry(spec.registry) if spec.registry else None,
        selected=[field for field in _selected(spec) if not is_part(field)],
    )
    try:
        verdict = probe(engine, model, signature, plan.samples, Limit(_most_rows(spec, plan), spec.batch.time))
    except MadeUpError as error:
        raise file.misfits(_made_up(spec.model, error)) from None
    except RefusedError as error:
        raise file.misfits([Finding(("model", "path"), str(error))]) from None
    assembly = Assembly(
        file=file, engine=engine, model=model, signature=signature, verdict=verdict, plan=plan, formats=formats
    )
    findings += _hook_misfits(assembly, columns)
    if findings:
        raise file.misfits(findings)
    return assembly


def _made_up(model: Model, error: MadeUpError) -> list[Finding]:
    """Say where the mapping refuses what its own features make up: at the hook, or where the field is read."""
    read = {field: where for where, feature in each_feature(model) for field in fields_of(feature)}
    findings = []
    for field, message, of_hook in error.causes:
        words = f"the mapping refuses the values that its own features make up: {message}"
        if of_hook:
            where: Where = ("model", "inputs", field, "function")
            hint = "a function called as the hook with _samples behind it makes values that it takes"
            findings.append(Finding(where, words, hint))
        else:
            findings.append(Finding(read.get(field, ("model", "inputs")), words))
    return findings


def _hook_misfits(assembly: Assembly, columns: Mapping[str, OutputColumn]) -> list[Finding]:
    """Try the hooks of outputs with what the model answers."""
    hooks = {name: column for name, column in columns.items() if isinstance(column, HookColumn)}
    if not hooks:
        return []
    signature = assembly.signature
    rows = trial_rows(tensor.shape[1:] for tensor in signature.outputs.values())
    runner = Runner(assembly.engine, assembly.model, signature, assembly.verdict.sizes)
    try:
        parts = [runner.run(group) for _, group in assembly.plan.groups(assembly.plan.samples(rows), rows)]
    except (RuntimeError, ValueError) as error:
        raise cant_run(assembly.engine, assembly.model, error) from None
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in signature.outputs}
    return [
        Finding(("model", "outputs", name, "function"), f"the hook {column.hook} {told}", "one value a row")
        for name, column in hooks.items()
        if (told := column.misfit(outputs))
    ]


class Fitted(NamedTuple):
    """A model that was opened, and what the mapping makes of it."""

    engine: Engine
    model: ModelFile
    signature: Signature
    plan: ColumnPlan
    columns: dict[str, OutputColumn]


def _chosen(model: Model) -> Where:
    """Return where a file says what is run."""
    return ("model", "path" if model.signature is None else "signature")


def fit(model: Model, path: Path, hooks: Mapping[str, HookSource], findings: list[Finding]) -> Fitted:
    """Open the model and see how the mapping fits it.

    Args:
        model: the section of the pipeline file.
        path: of the model's file.
        hooks: of the pipeline file.
        findings: takes all misfits.

    Raises:
        PipelineError: the model can't be read.
        RefusedError: the engine lacks, or does not take the model at all.
    """
    engine = find_engine(model.engine)
    content = read_model(path)
    interpreter = open_interpreter(engine, content)
    refuse_state(interpreter, content)
    signature = read_signature(interpreter, content, model.signature)
    plan = fit_inputs(model, signature, findings, hooks)
    return Fitted(engine, content, signature, plan, fit_outputs(model, signature, findings, hooks))


def _selected(spec: Pipeline) -> tuple[str, ...]:
    """Return the fields that the filter looks at."""
    return () if spec.when is None else compile_expression(spec.when).fields


def _most_rows(spec: Pipeline, plan: ColumnPlan) -> int:
    """Return how many rows fit into a batch by rows and bytes; more are never tried: 256 images would fill 100 MB."""
    return max(1, min(spec.batch.rows, spec.batch.bytes // max(1, plan.row_bytes)))


def _only_read(signature: Signature, columns: Mapping[str, OutputColumn]) -> Signature:
    """Leave out outputs that no field is read from: what is odd about them does no harm."""
    read = {tensor for column in columns.values() for tensor in column.tensors}
    outputs = {name: tensor for name, tensor in signature.outputs.items() if name in read}
    return msgspec.structs.replace(signature, outputs=outputs)
