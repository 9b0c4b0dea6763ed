"""The kinds of output in a pipeline file: what is read from the model's tensors."""

from typing import Annotated, TypeAlias

import msgspec

from consumer.pipeline.section import Spec, text


class _TensorOutput(Spec, frozen=True, kw_only=True):
    tensor: Annotated[str, text("The output's name in the model's signature.")]
    index: Annotated[
        Annotated[int, msgspec.Meta(ge=0)] | None,
        text("Which of the row's values; not needed where there is one."),
    ] = None


class NumberOutput(_TensorOutput, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """The value of an output tensor."""


class OverOutput(_TensorOutput, frozen=True, kw_only=True, tag_field="kind", tag="over"):
    """Whether the value of an output tensor is over a threshold."""

    threshold: float


OutputField: TypeAlias = NumberOutput | OverOutput
