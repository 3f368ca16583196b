"""Helpers of the garment classification series.

Importing the package is instant and changes nothing; each module loads what it needs.
They depend on each other in one direction only::

    paths → data → preprocessing → attribute_labels → deepfashion → photo_files → shapes
          → distortions → convolutions → models → training → learning_rate → evaluation
          → multilabel → attribute_networks → pretrained → attribute_predictor → photo_network
          → second_opinion → inspection → plots → attribute_plots → photos → attributes

===================  ==========================================================================
paths                where things live
data                 load, check and split the garments; class names; to and from a DataFrame
preprocessing        pixel scales, learned from the training images alone
attribute_labels     several labels on one garment: the structure that holds them, and our own
deepfashion          DeepFashion's files: read, our labels written like them, pictures streamed
photo_files          read a photograph safely, from a file or from the web
shapes               silhouettes, and how a garment is placed in 28×28 pixels
distortions          garments as photographs leave them, to train on; made-up photographs
convolutions         what a convolution does: slide, pool, count; the maps inside a network
models               the networks of the series, one function each
training             repeatable training, tidy histories, a store of trained models
learning_rate        the range test, within one epoch, and the grid that verifies it
evaluation           numbers, no drawing: confusion, certainty, neighbors, headline numbers
multilabel           several labels at once: decoding, metrics, agreement, partitions, weights
attribute_networks   networks for several labels: their loss, new heads on trained networks
pretrained           networks trained on ImageNet: read, rebuilt, put to work on garments
attribute_predictor  the networks that label new garments, trained once and kept
photo_network        the network for photographs, trained once and kept; when it is unsure
second_opinion       what a network that ImageNet has taught says of a photograph
inspection           what a network has learned: weights as pictures, liked pictures, occlusion
plots                figures: training, galleries, matrices, maps, photographs
attribute_plots      figures of garments with several labels
photos               from a photograph to a garment of 28×28 pixels, step by step; command line
attributes           label garments of Fashion-MNIST; command line
series               the batch side: which notebooks there are, and the command that runs them
run                  execute one notebook with papermill
reports              executed notebooks → offline HTML pages
results              figures/results.csv, and the README's tables made from it
===================  ==========================================================================

Take Keras from here (``from garment_utils import keras``): it is then imported without the
log lines that TensorFlow writes to the screen, and on its first use only.
"""


def __getattr__(name):
    if name == "keras":
        from garment_utils.quiet_keras import keras

        return keras
    raise AttributeError(f"module 'garment_utils' has no attribute {name!r}")
