"""The advisor: a few questions, advice with reasons, a plan that runs. Rules decide; nothing here imports torch."""
