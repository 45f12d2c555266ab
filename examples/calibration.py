"""Probabilities that mean what they say: negatives were sampled, and a curve sets the rate right again.

Run: python examples/calibration.py
"""

import tempfile

import numpy as np
import polars as pl

import autorec as ar
from autorec.data.demo import click_log

log, test = click_log(rows=40_000).split(0.25)
rows = log.frame()
held_out = rows[-6_000:]  # as they are, and not trained on
sampled = rows[:-6_000].filter((pl.col("click") == 1) | (np.random.default_rng(0).random(len(rows) - 6_000) < 0.1))

rec = ar.CTRRecommender(space="deepfm")
rec.fit(sampled, target="click", user="user", item="item", time="time", epochs=3)
before = rec.evaluate(test)
print(f"as trained: AUC {before['auc']:.4f}, log loss {before['log_loss']:.4f}, calibration error {before['ece']:.4f}")

rec.calibrate("auto", data=held_out, by="device")  # fitted where it was not trained
after = rec.evaluate(test, reliability=True)
print(f"calibrated: AUC {after['auc']:.4f}, log loss {after['log_loss']:.4f}, calibration error {after['ece']:.4f}")
print(after["reliability"].select("predicted", "observed", "rows"))

rec.calibrate("auto", negatives_kept=0.1)  # without other rows: the validation rows, corrected for the rate
print(f"by the rate: calibration error {rec.evaluate(test)['ece']:.4f}")

with tempfile.TemporaryDirectory() as folder:
    served = ar.load(rec.export(f"{folder}/model"))  # the exported model is calibrated too
    print(f"exported: calibration error {served.evaluate(test)['ece']:.4f}, calibrated {served.card['calibrated']}")
