"""The data set of a visit."""
