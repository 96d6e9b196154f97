"""A plan as commands and scripts."""
