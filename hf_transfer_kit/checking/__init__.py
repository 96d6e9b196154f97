"""What is wrong with a data set before any training: `checks.check_data`."""
