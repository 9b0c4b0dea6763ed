"""Train the tokenizer and the language model, convert it for TensorFlow Lite, measure it and write golden rows.

Run from the repository's root, after make_events: `python -m examples.text.train`. The metrics and the golden rows
come from the converted files, never from the Keras model: what is measured is what is served.
"""

import os
from typing import Any, Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # has to come before TensorFlow is imported

import gzip
import json
import timeit

import keras
import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from examples.convert import to_float
from examples.served import Arrays, Served, golden_row, report_files, write_lines
from examples.text.make_events import HERE, LANGUAGES, Text, in_part, read_texts

SEED: Final = 17
VOCABULARY: Final = 4000
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")  # [PAD] is 0: what a row is padded with
WIDTH: Final = 16
BATCH: Final = 64
EPOCHS: Final = 60
FORGET: Final = 0.3  # of the tokens in training, each time others: so that no single word decides
SHORT, LONG = 128, 1024
GOLDEN_ROWS: Final = 100

TOKENIZER: Final = HERE / "tokenizer.json"
OPEN_MODEL: Final = HERE / "models" / "language.tflite"
LONG_MODEL: Final = HERE / "models" / "language_1024.tflite"


def train_tokenizer(texts: list[Text]) -> Tokenizer:
    """Learn byte-pair pieces from the training texts; accents stay, since they tell languages apart."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    # A mark before each word: WordPiece, which marks what follows instead, learns other pieces each time.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        sorted(text.body for text in texts),
        trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL), show_progress=False),
    )
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(TOKENIZER), pretty=False)
    return tokenizer


def encode(tokenizer: Tokenizer, bodies: list[str], longest: int) -> list[list[int]]:
    """Give each body's ids, the ends among them, cut to the longest."""
    tokenizer.enable_truncation(longest)
    return [encoding.ids for encoding in tokenizer.encode_batch(bodies)]


def padded(rows: list[list[int]], length: int | None = None) -> Arrays:
    """Give ids and mask, as long as the longest row or as told."""
    length = length or max(map(len, rows))
    ids = np.zeros((len(rows), length), "int32")
    mask = np.zeros((len(rows), length), "int32")
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


class MaskedMean(keras.layers.Layer):
    """A table with one row a token, and the mean of the rows whose mask is 1: what is padded changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.table = self.add_weight(shape=(VOCABULARY, WIDTH), initializer="uniform", name="table")

    def call(self, ids: tf.Tensor, mask: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002
        """Give [n, WIDTH] for ids and mask of [n, tokens]."""
        weights = tf.cast(mask, tf.float32)
        if training:
            weights *= tf.cast(tf.random.uniform(tf.shape(mask)) > FORGET, tf.float32)
        weights = tf.expand_dims(weights, -1)
        total = tf.reduce_sum(tf.gather(self.table, ids) * weights, axis=1)
        return total / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


def build() -> keras.Model:
    """Build the network: masked mean of the tokens' rows, a hidden layer, one logit a language."""
    ids = keras.Input([None], dtype="int32", name="input_ids")
    mask = keras.Input([None], dtype="int32", name="attention_mask")
    hidden = keras.layers.Dense(64, activation="relu")(MaskedMean()(ids, mask))
    logits = keras.layers.Dense(len(LANGUAGES), name="logits")(keras.layers.Dropout(0.2, seed=SEED)(hidden))
    return keras.Model({"input_ids": ids, "attention_mask": mask}, logits)


def labels_of(texts: list[Text]) -> np.ndarray:
    """Give each text's index in labels.txt."""
    return np.array([LANGUAGES.index(text.language) for text in texts])


def fit(tokenizer: Tokenizer, texts: list[Text]) -> keras.Model:
    """Train until the validation texts stop improving."""
    train, validate = in_part(texts, "training"), in_part(texts, "validation")
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        padded(encode(tokenizer, [text.body for text in train], SHORT)),
        labels_of(train),
        validation_data=(padded(encode(tokenizer, [text.body for text in validate], SHORT)), labels_of(validate)),
        batch_size=BATCH,
        epochs=EPOCHS,
        callbacks=[keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)],
        verbose=2,
    )
    return model


def convert(model: keras.Model, length: int | None) -> bytes:
    """Convert with an open batch, and an open or a fixed number of tokens."""

    def serve(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": model({"input_ids": input_ids, "attention_mask": attention_mask}, training=False)}

    names = ("input_ids", "attention_mask")
    return to_float(model, serve, [tf.TensorSpec([None, length], tf.int32, name) for name in names])


def answers(served: Served, rows: list[list[int]], length: int | None = None) -> np.ndarray:
    """Give the logits of all rows, a few at a time, each batch as long as its longest row or as told."""
    batches = [padded(rows[start : start + BATCH], length) for start in range(0, len(rows), BATCH)]
    return np.concatenate([served.run(batch)["logits"] for batch in batches])


def counts(tokenizer: Tokenizer, texts: list[Text]) -> np.ndarray:
    """Count each text's tokens: [texts, VOCABULARY]."""
    rows = encode(tokenizer, [text.body for text in texts], SHORT)
    return np.stack([np.bincount(row, minlength=VOCABULARY) for row in rows])


def naive_bayes(tokenizer: Tokenizer, texts: list[Text]) -> np.ndarray:
    """Guess the held-out texts' languages by how often each has each token: the plain baseline."""
    train = in_part(texts, "training")
    tokens, labels = counts(tokenizer, train), labels_of(train)
    often = np.stack([tokens[labels == index].sum(axis=0) for index in range(len(LANGUAGES))]) + 1
    log_chance = np.log(often / often.sum(axis=1, keepdims=True))
    return (counts(tokenizer, in_part(texts, "held out")) @ log_chance.T).argmax(axis=1)


def evaluate(tokenizer: Tokenizer, texts: list[Text]) -> None:
    """Measure both files on the held-out texts, and show what padding changes."""
    held_out = in_part(texts, "held out")
    truth = labels_of(held_out)
    print(f"{len(held_out)} held-out texts; naive Bayes {np.mean(naive_bayes(tokenizer, texts) == truth):.4f}")
    rows = encode(tokenizer, [text.body for text in held_out], SHORT)
    short, long = Served(OPEN_MODEL), Served(LONG_MODEL)
    alone = np.concatenate([short.run(padded([row]))["logits"] for row in rows])
    for name, logits in {
        "row by row, no padding": alone,
        "batches, padded to the longest": answers(short, rows),
        "batches, padded to 128": answers(short, rows, SHORT),
        "batches, padded to 1,024": answers(short, rows, LONG),
        "the model of 1,024": answers(long, rows, LONG),
    }.items():
        right = np.mean(logits.argmax(axis=1) == truth)
        print(f"{name:<32} accuracy {right:.4f}, largest difference of a logit {np.abs(logits - alone).max():.2g}")
    guess = alone.argmax(axis=1)
    for low, high in ((1, 20), (20, 60), (60, 10_000)):
        some = np.array([low <= len(text.body) < high for text in held_out])
        print(f"{low} to {high} characters: {some.sum()} texts, accuracy {np.mean((guess == truth)[some]):.4f}")
    for index, language in enumerate(LANGUAGES):
        mine = truth == index
        wrong, times = np.unique(guess[mine & (guess != truth)], return_counts=True)
        told = ", ".join(
            f"{LANGUAGES[w]} {t}" for w, t in sorted(zip(wrong, times, strict=True), key=lambda x: -x[1])
        )
        print(f"{language}: {np.mean(guess[mine] == index):.3f} of {mine.sum()}; taken for {told or 'nothing else'}")


def measure_cost() -> None:
    """Print what a message costs by the tokens that it is padded to, in batches as large as the pipelines'."""
    rng = np.random.default_rng(SEED)
    for path, tokens in ((OPEN_MODEL, 16), (OPEN_MODEL, SHORT), (OPEN_MODEL, LONG), (LONG_MODEL, LONG)):
        served = Served(path)
        batch = padded(rng.integers(len(SPECIAL), VOCABULARY, (BATCH, tokens)).tolist())
        served.run(batch)
        seconds = min(timeit.repeat(lambda: served.run(batch), number=1, repeat=20))  # noqa: B023 - called at once
        print(f"{path.name}, {tokens} tokens: {seconds / BATCH * 1e6:.1f} us a message in batches of {BATCH}")


def read_events() -> list[dict[str, Any]]:
    """Read the sample's events, without those that have no text."""
    lines = gzip.decompress((HERE / "events.jsonl.gz").read_bytes()).splitlines()
    return [event for event in map(json.loads, lines) if isinstance(event.get("body"), str)]


def evaluate_sample(tokenizer: Tokenizer) -> None:
    """Measure both files on the sample, each with as many tokens as its pipeline takes."""
    truth = dict(line.split(",") for line in gzip.decompress((HERE / "truth.csv.gz").read_bytes()).decode().split())
    events = [event for event in read_events() if str(event["id"]) in truth]
    for path, longest, length in ((OPEN_MODEL, SHORT, None), (LONG_MODEL, LONG, LONG)):
        rows = encode(tokenizer, [event["body"] for event in events], longest)
        guess = answers(Served(path), rows, length).argmax(axis=1)
        right = [LANGUAGES[g] == truth[str(event["id"])] for g, event in zip(guess, events, strict=True)]
        cut = sum(len(row) == longest for row in rows)
        print(f"sample, {path.name}: {len(right)} messages, {cut} of them cut, accuracy {np.mean(right):.4f}")


def write_golden(tokenizer: Tokenizer) -> None:
    """Write what the model of open length says to the first events, one row at a time, unpadded."""
    events = read_events()[:GOLDEN_ROWS]
    served = Served(OPEN_MODEL)
    rows = encode(tokenizer, [event["body"] for event in events], SHORT)
    inputs = [{name: tensor[0] for name, tensor in padded([row]).items()} for row in rows]
    golden = [golden_row(served, event["id"], row) for event, row in zip(events, inputs, strict=True)]
    write_lines(HERE / "golden.jsonl", golden)


def main() -> None:
    """Do it all."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    texts = read_texts()
    tokenizer = train_tokenizer(in_part(texts, "training"))
    model = fit(tokenizer, texts)
    OPEN_MODEL.write_bytes(convert(model, None))
    LONG_MODEL.write_bytes(convert(model, LONG))
    evaluate(tokenizer, texts)
    evaluate_sample(tokenizer)
    measure_cost()
    write_golden(tokenizer)
    report_files(HERE / "models")


if __name__ == "__main__":
    main()
