"""Sharpness-aware training of any Keras model: a small convolutional net on the digits of scikit-learn.

Run: python examples/sharpness_images.py
"""

import keras
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import autorec as ar

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
x, test_x, y, test_y = train_test_split(images, labels, test_size=0.5, random_state=0, stratify=labels)


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Conv2D(16, 3, activation="relu", padding="same")(inputs)
    hidden = keras.layers.MaxPooling2D()(hidden)
    hidden = keras.layers.Conv2D(32, 3, activation="relu", padding="same")(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(hidden))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))


for name, settings in {
    "plain": ar.SharpnessAware(rho=0.0),
    "SAM": ar.SharpnessAware(rho=0.1, micro_batches=1),
    "mSAM": ar.SharpnessAware(rho=0.1, micro_batches=8),
}.items():
    model = net()
    trained = ar.training.sharpness_aware(model, settings)  # shares the layers of `model`
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    trained.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    trained.fit(x, y, batch_size=128, epochs=30, verbose=0)

    loss, accuracy = trained.evaluate(test_x, test_y, verbose=0)
    auc = roc_auc_score(test_y, model.predict(test_x, verbose=0), multi_class="ovr")
    print(f"{name:5} test loss {loss:.4f}, error {1 - accuracy:.4f}, AUC {auc:.5f}")
