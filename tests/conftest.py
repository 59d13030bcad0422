"""What all tests share: one thread, and property tests that draw the same examples every time."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("muse", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("muse")
