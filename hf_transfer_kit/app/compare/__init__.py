"""The Compare tab: finished runs side by side."""
