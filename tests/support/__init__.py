"""A real Kafka broker, and what tests do with its topics."""
