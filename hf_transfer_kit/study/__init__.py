"""Many plans, one process each, one report: `study.carry_out`. Loads torch only where a run begins."""
