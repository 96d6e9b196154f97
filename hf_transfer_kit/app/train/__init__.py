"""The Train tab: the plan, what it will need, the run."""
