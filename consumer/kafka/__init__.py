"""The edge to Kafka, and the only importer of confluent_kafka.

The rules that this package keeps were each found by experiment; DESIGN.md lists them by number.
"""
