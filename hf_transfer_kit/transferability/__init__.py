"""Which pre-trained model, and which of its layers, suits a data set: measured before anything is trained."""
