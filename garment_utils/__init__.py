"""Helpers of the garment classification series.

Importing the package is instant and changes nothing; each module loads what it needs.
They depend on each other in one direction only::

    paths → data → preprocessing → attributes → deepfashion → photo_files → shapes
          → distortions → convolutions → models → training → learning_rate → evaluation
          → multilabel → photo_network → inspection → plots → photos

===============  ==========================================================================
paths            where things live
data             load, check and split the garments; class names; to and from a DataFrame
preprocessing    pixel scales, learned from the training images alone
attributes       several labels on one garment: the structure that holds them, and our own
deepfashion      DeepFashion's files: read, our labels written like them, pictures streamed
photo_files      read a photograph safely, from a file or from the web
shapes           silhouettes, and how a garment is placed in 28×28 pixels
distortions      garments as photographs leave them, to train on; made-up photographs
convolutions     what a convolution does: slide, pool, count; the maps inside a network
models           the networks of the series, one function each
training         repeatable training, tidy histories, a store of trained models
learning_rate    the range test, within one epoch, and the grid that verifies it
evaluation       numbers, no drawing: confusion, certainty, neighbors, headline numbers
multilabel       several labels at once: decoding, metrics, training partitions, weights
photo_network    the network for photographs, trained once and kept; when it is unsure
inspection       what a network has learned: weights as pictures, liked pictures, occlusion
plots            every figure
photos           from a photograph to a garment of 28×28 pixels, step by step; command line
series           the batch side: which notebooks there are, and the command that runs them
run              execute one notebook with papermill
reports          executed notebooks → offline HTML pages
results          figures/results.csv, and the README's tables made from it
===============  ==========================================================================

Take Keras from here (``from garment_utils import keras``): it is then imported without the
log lines that TensorFlow writes to the screen, and on its first use only.
"""


def __getattr__(name):
    if name == "keras":
        from garment_utils.quiet_keras import keras

        return keras
    raise AttributeError(f"module 'garment_utils' has no attribute {name!r}")
