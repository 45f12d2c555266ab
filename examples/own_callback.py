"""Keras callbacks, yours and ours, work as in `fit`: every trial gets copies of its own.

Run: python examples/own_callback.py
"""

import keras

import autorec as ar
from autorec.data.demo import click_log


class Report(keras.callbacks.Callback):
    """Prints the exact validation metrics of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        print(f"  epoch {epoch + 1}: AUC {logs['val_auc']:.4f}, log loss {logs['val_log_loss']:.4f}")


rec = ar.CTRRecommender(space="dcnv2")
rec.search(
    click_log(rows=20_000),
    target="click",
    max_trials=2,
    epochs=3,
    progress=False,
    baselines=False,
    callbacks=[Report(), keras.callbacks.EarlyStopping("val_auc", mode="max", patience=1)],
)
print(rec.leaderboard().select("rank", "trial", "val_auc", "best_epoch"))
