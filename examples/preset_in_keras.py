"""A preset as one part of a Keras model of one's own, trained by Keras's own `fit`.

Run: python examples/preset_in_keras.py
"""
