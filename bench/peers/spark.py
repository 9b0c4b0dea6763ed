"""Spark Structured Streaming on one core: Kafka source, mapInPandas, Kafka sink.

spark.apache.org/docs, "Structured Streaming + Kafka Integration Guide" (reading, writing, the checkpoint's folder, by
which a query goes on where it was; it joins no consumer group) and "Apache Arrow in PySpark", "Map": a function of an
iterator of frames, so that the model is made once. Micro-batches as soon as they are possible, the default.

Promise: "Apache Kafka only supports at least once write semantics", so records may be duplicated.
"""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
sys.path[0] = ROOT
os.environ |= {
    "PYTHONPATH": ROOT,
    "PYSPARK_PYTHON": sys.executable,
}  # for the processes in which Spark runs functions

from pyspark.sql import SparkSession

from bench.peers.call import read_call, say_ready
from bench.peers.frames import enriched
from bench.peers.job import ROWS

_JARS = Path(sys.executable).parents[1] / "jars"


def main() -> None:
    """Run until SIGTERM."""
    call = read_call(__doc__, no_exactly_once="Spark's Kafka sink is at least once")
    spark = (
        SparkSession.builder.master("local[1]")
        .appName(call.group)
        .config("spark.jars", ",".join(map(str, sorted(_JARS.glob("*.jar")))))
        .config("spark.ui.enabled", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", ROWS)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("WARN")
    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", call.bootstrap)
        .option("subscribe", call.source)
        .option("startingOffsets", "earliest")
        .load()
    )
    records = source.select("key", "value").mapInPandas(
        lambda frames: enriched(frames, call.job), "key binary, value binary"
    )
    say_ready()
    query = (
        records.writeStream.format("kafka")
        .option("kafka.bootstrap.servers", call.bootstrap)
        .option("topic", call.target)
        .option("checkpointLocation", str(call.folder / "checkpoint"))
        .start()
    )
    query.awaitTermination()


if __name__ == "__main__":
    main()
