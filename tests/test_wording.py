"""What a prompt's reader can't read."""

import pytest
from transformers import CLIPTokenizer

from muse.mini import content_caption, save_tokenizer
from muse.mini.tokenizer import CONTEXT
from muse.wording import cut_off, remarks, room, unknown_words


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> CLIPTokenizer:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"))


class _Large:
    """A vocabulary of 2,000 tokens, which spells any word out of pieces."""

    model_max_length = 77

    def get_vocab(self):
        return {f"{i}</w>": i for i in range(2000)}

    def tokenize(self, word):
        return list(word)

    def num_special_tokens_to_add(self):
        return 2

    def __call__(self, prompt, add_special_tokens, verbose):
        return {"input_ids": prompt.split()}

    def decode(self, tokens):
        return " ".join(tokens)


def test_what_captions_say_is_known(tokenizer):
    for prompt in (content_caption("dog", "park"), "A Dog in a PARK,  sadness!", "a dog; a park"):
        assert unknown_words(tokenizer, prompt) == {}
        assert remarks(tokenizer, prompt) == []


def test_unknown_words_and_the_nearest_known_ones(tokenizer):
    found = unknown_words(tokenizer, "a dogg in a Parkk with a zyzzyx and a dogg")
    assert list(found)[:2] == ["dogg", "parkk"]
    assert found["dogg"][0] == "dog"
    assert found["parkk"][0] == "park"
    assert found["zyzzyx"] == []
    [line] = remarks(tokenizer, "a dogg in a zyzzyx")
    assert line.startswith(
        "Prompt 'a dogg in a zyzzyx': the model doesn't know 'dogg' (nearest: dog"
    )
    assert "'zyzzyx' (nothing is near)" in line


@pytest.mark.parametrize("prompt", ["ein Hund 🐕 im Park", "собака в парке", "公園の犬", "12 34"])
def test_any_text_can_be_looked_at(tokenizer, prompt):
    for line in remarks(tokenizer, prompt):
        assert "\n" not in line


def test_a_large_vocabulary_never_complains_of_words():
    assert unknown_words(_Large(), "a unicorn in a spaceship") == {}
    assert remarks(_Large(), "a unicorn in a spaceship") == []


def test_what_does_not_fit_is_named(tokenizer):
    assert room(tokenizer, CONTEXT) == CONTEXT - 2  # beside both ends
    fits = " ".join(["dog"] * (CONTEXT - 2))
    assert cut_off(tokenizer, fits, CONTEXT) == ""
    assert cut_off(tokenizer, fits + " park", CONTEXT) == "park"
    assert cut_off(tokenizer, fits, 12) == " ".join(["dog"] * 12)
    [line] = remarks(tokenizer, fits + " in a park")
    assert line.endswith("is too long: the model reads 22 tokens of it, and not 'in a park'.")
    assert len(line) < 200
    assert "\n" not in line
