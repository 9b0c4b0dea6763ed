"""Cases of a pipeline, run without a broker: judged, reported, recorded."""
