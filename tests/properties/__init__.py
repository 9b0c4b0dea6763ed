"""Properties: what holds for whatever comes in, tried by hypothesis."""
