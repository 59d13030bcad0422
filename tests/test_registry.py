"""Components by name: short names, import paths, and what is said of unknown ones."""

from abc import abstractmethod

import pytest
from torch import nn

from muse.backbones import Backbone, BayesGuide
from muse.core.registry import available, resolve, summary
from muse.core.types import MuseError
from muse.guides import EmoGen, Guide, SimEmo
from muse.schedulers import TimingPolicy
from muse.steering import Steering


def test_available_are_the_concrete_public_subclasses():
    names = list(available(Guide))
    assert names == sorted(names)
    assert {"SimEmo", "EmoGen", "ConvNet", "BayesGuide"} <= set(names)
    assert {"Always", "ClipThreshold", "Never", "StepWindow"} <= set(available(TimingPolicy))
    assert "Guide" not in names
    assert available(Guide)["EmoGen"] is EmoGen


def test_new_subclasses_appear_and_abstract_or_private_ones_do_not():
    class Part(nn.Module):
        """A part of this test."""

        @abstractmethod
        def forward(self):
            """What it does."""

    class Abstract(Part, Guide):
        """Still abstract."""

    class _Private(Part):
        """Nobody's business."""

    class Grandchild(_Private):
        """One that counts."""

    assert available(Part) == {"Grandchild": Grandchild}


def test_names_and_import_paths():
    assert resolve(Guide, "SimEmo") is SimEmo
    assert resolve(Guide, "muse.guides.SimEmo") is SimEmo
    assert resolve(Guide, "muse.backbones.toy.readers.BayesGuide") is BayesGuide


def test_a_class_in_a_file_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "my_guides_of_this_test.py").write_text(
        "from muse.backbones import BayesGuide\nclass _Mine(BayesGuide):\n    '''Mine.'''\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve(Guide, "my_guides_of_this_test._Mine").__doc__ == "Mine."


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SimEmoo", "Did you mean 'SimEmo'?"),
        ("muse.guides.SimEmoo", "Did you mean 'SimEmo'?"),
        ("no_such_file.Mine", "import path of a class of your own"),
        ("TokenOptimization", "Unknown Guide 'TokenOptimization'"),
        ("muse.steering.TokenOptimization", "Unknown Guide"),
        ("muse.guides.base.order_of", "Unknown Guide"),
        ("", "Unknown Guide ''"),
    ],
)
def test_unknown_names_are_told_with_the_candidates(name, says):
    with pytest.raises(MuseError) as caught:
        resolve(Guide, name)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert "BayesGuide" in message
    assert "EmoGen" in message


@pytest.mark.parametrize("base", [Guide, Backbone, TimingPolicy, Steering])
def test_every_component_has_a_line_of_its_own(base):
    ours = {n: c for n, c in available(base).items() if c.__module__.startswith("muse.")}
    assert ours
    for name, cls in ours.items():  # other tests of this process may have made some, too
        line = summary(cls)
        assert line, name
        assert "\n" not in line
        assert line != summary(base), name
