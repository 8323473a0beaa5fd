"""The Inception Course: the models, the training and the measurements behind the notebooks."""
