"""Callbacks for the Trainer of transformers: one method, one file; host.py is what they share."""
