"""Label texts and examples in one embedding space, of texts or of images."""
