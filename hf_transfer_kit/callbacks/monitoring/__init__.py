"""The parts of the forgetting monitor: scores without a trace, the best weights so far."""
