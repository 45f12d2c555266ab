"""Post-hoc calibration: rising curves over a model's logits, fitted on rows that the model was not trained on."""
