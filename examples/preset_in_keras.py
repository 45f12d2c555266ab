"""A preset as one part of a Keras model of one's own, trained by Keras's own `fit`.

Run: python examples/preset_in_keras.py
"""

import tempfile

import keras

import autorec as ar
from autorec.data.dataset import batches
from autorec.data.demo import click_log
from autorec.data.encode import encode
from autorec.data.table import as_source

# The log once through the encoder: arrays of ids, numbers and statistics on disk, which any Keras model can read.
log = as_source(click_log(rows=20_000))
schema = ar.Schema.infer(log, target="click", user="user", item="item", time="time")
schema["position"].kind = "categorical"
cache = encode(log, schema, tempfile.mkdtemp() + "/cache")

# DCNv2 judges the rows; a tower of one's own adds what the place on the page alone explains.
preset = ar.spaces.DCNv2(dim=16).build_for(cache.layout)
at = cache.layout.position("position")
place = keras.layers.Embedding(cache.layout.ids[at].size, 1, embeddings_initializer="zeros")(preset.input["ids"][:, at])
logit = keras.layers.Add()([preset.output["click"], place])
model = keras.Model(preset.input, {"click": keras.layers.Activation("sigmoid")(logit)})

model.compile(keras.optimizers.Adam(1e-3), loss="binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
train = batches([cache.train], list(model.input), ["click"], 256, shuffle=True)
test = batches([cache.validation], list(model.input), ["click"], 4096, shuffle=False)
for epoch in range(2):
    model.fit(train, shuffle=False, verbose=0)
    print(f"epoch {epoch + 1}: validation AUC {model.evaluate(test, verbose=0, return_dict=True)['auc']:.4f}")
model.save(tempfile.mkdtemp() + "/model.keras")
