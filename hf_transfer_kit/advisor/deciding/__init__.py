"""Facts to method, models, settings, plan; the next question; what would change it."""
