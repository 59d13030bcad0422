"""
A small study
=============

A study is a file: jobs, arms and metrics. ``muse study`` makes what isn't there yet, measures it,
and writes tables and a page of pictures that needs no server. This one puts the emotion's name in
the prompt beside a search that starts from the prompt as it is.
"""

import tempfile
from pathlib import Path

from muse.cli import main

FILE = """
title: A word, or a search
base: default
options: {steps: 12, max_iterations: 6}
jobs:
  prompts: [a dog in a park, a boat on a beach]
  emotions: [awe, fear]
arms:
  - {name: word, config: word}
  - {name: search, options: {steering.template: null}}
metrics:
  - class_path: EmotionContentAccuracy
    init_args:
      judge: {class_path: ConvNet, init_args: {checkpoint: muse-mini/judge.safetensors}}
      classifier:
        class_path: muse.mini.content.ContentClassifier
        init_args: {checkpoint: muse-mini/content.safetensors}
"""

folder = Path(tempfile.mkdtemp())
(folder / "study.yaml").write_text(FILE)

# %%
# Four pictures say nothing yet: so do the intervals in the table. The same command with more
# prompts makes only the new pictures.

main(["study", str(folder / "study.yaml"), "--output_dir", str(folder / "found")])

# %%
# What it leaves: tables for people and for programs, and the page.

print(*sorted(path.name for path in (folder / "found").iterdir()), sep="\n")
print((folder / "found" / "table.md").read_text())
