"""From records of runs to a verdict with its uncertainty: `compare.compare`. Imports no torch."""
