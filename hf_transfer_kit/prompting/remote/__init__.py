"""Prompts to chat models that answer elsewhere: one question per input, answers kept, spending limited."""
