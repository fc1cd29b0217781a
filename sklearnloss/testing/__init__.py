"""The conformance suite, generated from the registry; plugins run it on themselves."""
