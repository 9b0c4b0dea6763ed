"""From a feature of the pipeline file to what makes its column: one line a kind."""

from consumer.features.block import Block
from consumer.features.boolean import BooleanColumn
from consumer.features.category import CategoryColumn
from consumer.features.column import Column
from consumer.features.content import BytesBlock, ImageBlock
from consumer.features.number import NumberColumn
from consumer.features.numbers import NumbersColumn
from consumer.features.present import PresentColumn
from consumer.features.time import TimeColumn
from consumer.model.tensors import Tensor
from consumer.pipeline.features import (
    BooleanFeature,
    CategoryFeature,
    ColumnFeature,
    ContentFeature,
    ImageFeature,
    NumberFeature,
    NumbersFeature,
    PresentFeature,
)


def make_column(feature: ColumnFeature) -> Column:
    """Return the column of a feature of the pipeline file."""
    if isinstance(feature, NumberFeature):
        return NumberColumn(feature)
    if isinstance(feature, BooleanFeature):
        return BooleanColumn(feature)
    if isinstance(feature, CategoryFeature):
        return CategoryColumn(feature)
    if isinstance(feature, PresentFeature):
        return PresentColumn(feature)
    if isinstance(feature, NumbersFeature):
        return NumbersColumn(feature)
    return TimeColumn(feature)


def content_block(feature: ContentFeature, tensor: Tensor) -> Block:
    """Return what fills a whole tensor from one field's content.

    Raises:
        RefusedError: a package that it needs is not installed.
    """
    return ImageBlock(feature, tensor) if isinstance(feature, ImageFeature) else BytesBlock(feature, tensor)
