"""The kinds of output in a pipeline file: what is read from the model's tensors."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from consumer.pipeline.section import Spec, text


class _TensorOutput(Spec, frozen=True, kw_only=True):
    tensor: Annotated[str, text("The output's name in the model's signature.")]
    apply: Annotated[
        Literal["softmax", "sigmoid"] | None,
        text("Of all of the row's values (softmax) or of each (sigmoid), for models that answer with logits."),
    ] = None


class _OneValue(_TensorOutput, frozen=True, kw_only=True):
    index: Annotated[
        Annotated[int, msgspec.Meta(ge=0)] | None,
        text("Which of the row's values; not needed where there is one."),
    ] = None


class NumberOutput(_OneValue, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """The value of an output tensor."""


class OverOutput(_OneValue, frozen=True, kw_only=True, tag_field="kind", tag="over"):
    """Whether the value of an output tensor is over a threshold."""

    threshold: Annotated[float, text("What a value has to be above for true.")]


class NumbersOutput(_TensorOutput, frozen=True, kw_only=True, tag_field="kind", tag="numbers"):
    """All of the row's values, as a list."""


class _Labelled(_TensorOutput, frozen=True, kw_only=True):
    labels: Annotated[
        str | list[str] | None,
        text(
            "The values' names in order, or the path of a file with one a line, relative to the pipeline file; "
            "without them a value's place, from 0, stands for it."
        ),
    ] = None


class LabelOutput(_Labelled, frozen=True, kw_only=True, tag_field="kind", tag="label"):
    """The label of the row's largest value; of equal ones, the first's."""


class TopOutput(_Labelled, frozen=True, kw_only=True, tag_field="kind", tag="top"):
    """The labels of the row's largest values with their scores, largest first: [{"label": …, "score": …}, …]."""

    k: Annotated[int, msgspec.Meta(ge=1, description="How many.")]


class PythonOutput(Spec, frozen=True, kw_only=True, tag_field="kind", tag="python"):
    """What a function of your own makes of whole output tensors; see docs/python-hooks.md."""

    tensors: Annotated[list[str], text("What it is given: outputs by their names in the model's signature.")]
    function: Annotated[str, text("answers.py:make, a file relative to the pipeline file, or package.module:make.")]
    type: Annotated[
        Literal["number", "integer", "text", "boolean", "any"],
        text("Of each row's value; formats with schemas need one, and any is any JSON."),
    ] = "any"


LabelledOutput: TypeAlias = LabelOutput | TopOutput
TensorOutput: TypeAlias = NumberOutput | OverOutput | NumbersOutput | LabelOutput | TopOutput
OutputField: TypeAlias = TensorOutput | PythonOutput
