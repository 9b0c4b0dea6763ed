"""The files that a pipeline file names, and that nothing may therefore be written over."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from consumer.pipeline.features import CategoryFeature, TextFeature
from consumer.pipeline.hooks import HookSource
from consumer.pipeline.mapping import each_feature
from consumer.pipeline.outputs import LabelledOutput
from consumer.pipeline.spec import Model, Pipeline


def named_files(spec: Pipeline, directory: Path, hooks: Iterable[HookSource]) -> tuple[Path, ...]:
    """Return the files that a pipeline is made from: model, schema, vocabularies, tokenizers, labels and functions.

    Args:
        spec: as it is written; vocabularies are not read yet.
        directory: of the pipeline file, which the others are relative to.
        hooks: the functions that it names.
    """
    schema = [] if spec.input.schema is None else [spec.input.schema]
    named = [spec.model.path, *schema, *_of_features(spec.model), *_of_outputs(spec.model)]
    return (*(directory / file for file in named), *(hook.origin for hook in hooks))


def _of_features(model: Model) -> Iterator[str]:
    for _, feature in each_feature(model):
        if isinstance(feature, TextFeature) and feature.tokenizer is not None:
            yield feature.tokenizer
        if isinstance(feature, CategoryFeature) and isinstance(feature.vocabulary, str):
            yield feature.vocabulary


def _of_outputs(model: Model) -> Iterator[str]:
    for output in model.outputs.values():
        if isinstance(output, LabelledOutput) and isinstance(output.labels, str):
            yield output.labels
