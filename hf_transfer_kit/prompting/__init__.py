"""What a model answers without training: prompts, demonstrations, and one classifier per kind of model."""
