"""Weights: what is packaged, files of them, transformers' models, CLIP, what text encoders read."""
