"""Model folders: a Keras model with everything it needs to answer raw rows."""
