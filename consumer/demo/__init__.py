"""``onelane demo``: the real worker on real events, in a few seconds, with what happened shown."""
