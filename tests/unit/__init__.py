"""Fast tests of one module each; nothing here starts a broker or sleeps."""
