"""What the page shows of a job at work."""
