"""The advisor: a few questions, advice with its reasons, a plan that runs. Rules decide; nothing here imports torch."""
