"""Say what the columns are: kinds, shared vocabularies, counts, what to leave out.

Run: python examples/own_schema.py
"""

import tempfile

import autorec as ar
from autorec.data.demo import click_log

frame = click_log(rows=20_000, history=8).frame()

schema = ar.Schema.infer(frame, target="click", user="user", item="item", time="time")
schema["position"].kind = "categorical"  # a place on the page is no quantity
schema["history"].kind = "sequence"
schema["history"].vocabulary = "item"  # the same ids, the same table rows
schema["item"].dim = 16
schema["item"].min_count = 5  # rarer items share one row
schema.drop("country")
path = tempfile.mkdtemp() + "/schema.json"
schema.save(path)  # to edit, and to use again

rec = ar.CTRRecommender(space="deepfm").fit(frame, schema=path, epochs=2)
print(rec.leaderboard().select("trial", "val_auc", "val_log_loss"))
