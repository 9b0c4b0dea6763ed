"""onelane: adds a TensorFlow Lite model's prediction to every event of a Kafka topic.

One partition, one lane, one interpreter; one worker, one thread, one core. DESIGN.md tells the shape and the words.
"""

from typing import Final

__version__: Final = "0.1.0"
