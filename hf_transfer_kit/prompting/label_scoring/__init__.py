"""The exact log-likelihood of every label: the beginning of the prompt once, the labels as a tree."""
