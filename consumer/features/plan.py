"""The column plan: which field goes where, settled once at start.

Each batch then costs one pass a column and one matrix a tensor.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.features.block import ABSENT, Block, Source, Values
from consumer.features.column import cause
from consumer.model.tensors import Array
from consumer.types import Cause

# How often values are made up until there are enough that the mapping takes.
_ATTEMPTS: Final = 24
_HOOKS: Final = (Code.HOOK_FAILED, Code.HOOK_REFUSED)


class MadeUpError(RefusedError):
    """A mapping refuses what its own features make up to try the model with.

    Attributes:
        causes: field, what is wrong with it, and whether a hook says so: then the field is the tensor's name.
    """

    def __init__(self, causes: Sequence[tuple[str, str, bool]]) -> None:
        told = "; ".join(f"{field}: {message}" for field, message, _ in causes[:3])
        super().__init__(f"the mapping refuses the values that its own features make up: {told}")
        self.causes = causes


class ColumnPlan:
    """All input tensors of a model, from the declared fields of an event."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = tuple(blocks)
        self._checks: dict[str, list[Source]] = {}
        kinds: dict[str, Any] = {}
        for source in self._sources():
            known = kinds.setdefault(source.field, source.accepts)
            if known != source.accepts:
                # Two kinds read one field: it is decoded as either, and each kind checks for itself.
                kinds[source.field] = known | source.accepts
                self._checks.setdefault(source.field, []).append(source)
        for field in self._checks:
            self._checks[field] = [source for source in self._sources() if source.field == field]
        self.fields: Mapping[str, Any] = kinds

    @property
    def ragged(self) -> list[str]:
        """The tensors whose rows have lengths of their own."""
        return [name for block in self._blocks for name in block.ragged]

    def groups(self, inputs: Mapping[str, Array], rows: int) -> list[tuple[Array, dict[str, Array]]]:
        """Take apart rows of different lengths, which are run by themselves.

        Returns:
            For each group the places of its rows and their tensors, cut to its length; one where all are alike.
        """
        every = np.arange(rows)
        ragged = self.ragged
        if not ragged:
            return [(every, dict(inputs))]
        lengths = np.stack([(inputs[name] != ABSENT).sum(axis=1) for name in ragged], axis=1)
        groups = []
        for group in np.unique(lengths, axis=0):
            places = every[(lengths == group).all(axis=1)]
            cut = {name: array[places] for name, array in inputs.items()}
            cut |= {
                name: np.ascontiguousarray(cut[name][:, :length])
                for name, length in zip(ragged, group.tolist(), strict=True)
            }
            groups.append((places, cut))
        return groups

    @property
    def row_bytes(self) -> int:
        """Bytes of one row over all input tensors."""
        return sum(tensor.row_bytes for block in self._blocks for tensor in block.tensors)

    def map(
        self, values: Values, rows: int, bad: Mapping[int, Cause] | None = None
    ) -> tuple[dict[str, Array], dict[int, Cause]]:
        """Map columns of decoded values to the model's inputs.

        Args:
            values: by field, one a row.
            rows: how many.
            bad: rows that are known to be so.

        Returns:
            Tensor name -> array of (good rows, ...), and the causes of the bad rows, those given and those found.
        """
        bad = dict(bad or {})
        checked = self._check(values, bad) if self._checks else values
        inputs: dict[str, Array] = {}
        for block in self._blocks:
            inputs |= block.build(checked, rows, bad)
        if bad:
            good = np.array([row not in bad for row in range(rows)])
            inputs = {name: array[good] for name, array in inputs.items()}
        return inputs, bad

    def samples(self, count: int) -> dict[str, Array]:
        """Return ``count`` rows of plausible, distinct values, mapped as an event's are; always the same ones.

        Raises:
            MadeUpError: no value that a feature makes up passes all that the mapping asks of its field.
        """
        random = np.random.default_rng(0)
        parts: list[dict[str, Array]] = []
        causes: dict[int, Cause] = {}
        for attempt in range(_ATTEMPTS):
            mapped, causes = self.map(self._made_up(count, random, attempt), count)
            parts.append(mapped)
            together = {name: np.concatenate([part[name] for part in parts])[:count] for name in mapped}
            if len(next(iter(together.values()))) == count:
                return together
        raise MadeUpError(sorted({(str(one.field), one.message, one.code in _HOOKS) for one in causes.values()}))

    def made_up(self, count: int) -> dict[str, Sequence[Any]]:
        """Return ``count`` plausible values for each field, of which features may still refuse some."""
        return self._made_up(count, np.random.default_rng(0), 0)

    def _made_up(self, count: int, random: np.random.Generator, attempt: int) -> dict[str, Sequence[Any]]:
        """Make up a column for each field, where several kinds read it by each of them in turn."""
        kinds: dict[str, list[Source]] = {}
        for source in self._sources():
            kinds.setdefault(source.field, []).append(source)
        return {field: sources[attempt % len(sources)].samples(count, random) for field, sources in kinds.items()}

    def _sources(self) -> list[Source]:
        return [source for block in self._blocks for source in block.sources]

    def _check(self, values: Values, bad: dict[int, Cause]) -> Values:
        checked = dict(values)
        for field, sources in self._checks.items():
            column_values = list(values[field])
            for row, value in enumerate(column_values):
                for source in sources:
                    if source.accepts is Any:
                        continue
                    try:
                        msgspec.convert(value, source.accepts)
                    except msgspec.ValidationError as error:
                        bad.setdefault(row, cause(Code.WRONG_TYPE, str(error), field))
                        column_values[row] = None
            checked[field] = column_values
        return checked
