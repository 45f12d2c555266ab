"""Training: options, the row-sparse optimizer for embedding tables, losses, exact metrics, callbacks, the trainer."""
