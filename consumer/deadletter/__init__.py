"""Dead letters: why an event fell out, and how that is written beside its untouched bytes."""
