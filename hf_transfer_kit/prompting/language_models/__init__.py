"""Prompts to language models that run here: causal, masked, encoder-decoder."""
