"""The Baseline tab: what a prompt gives."""
