"""The parts of benches/leaks/run."""
