"""What a prompt's reader can't read."""

import pytest
from transformers import CLIPTokenizer

from muse.mini import content_caption, save_tokenizer
from muse.mini.tokenizer import CONTEXT
from muse.pretrained.wording import cut_off, cut_offs, remarks, room, unknown_words


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


@pytest.mark.parametrize(
    ("prompt", "marks"),
    [
        ("a (dog:1.3) in a park", "'(dog:1.3)'"),
        ("a (big, brown dog : .8) in a (park:2)", "'(big, brown dog : .8)', '(park:2)'"),
        ("a ((dog:-0.5)) in a park", "'(dog:-0.5)'"),
        ("a dog in a park <lora:x:0.8> <LoRA:y>", "'<lora:x:0.8>', '<LoRA:y>'"),
        ("<hypernet:x:1> a dog in a park", "'<hypernet:x:1>'"),
    ],
)
def test_weights_and_loras_are_told(prompt, marks):
    """By what every backbone asks: of one encoder, and of several."""
    for lines in (remarks(_Large(), prompt), cut_offs(prompt, {"CLIP": (_Large(), 77)})):
        [line] = lines
        assert line.startswith(f"Prompt {prompt!r}: {marks} is read as text, marks and all")
        assert "\n" not in line
    long = f"{prompt} {'dog ' * 80}"
    assert [len(remarks(_Large(), long)), len(cut_offs(long, {"T5": (_Large(), 9)}))] == [2, 2]


@pytest.mark.parametrize(
    "prompt",
    [
        "a dog (at 12:30) in a park",
        "a film still (16:9)",
        "a dog (big) [brown] in a park: 1.3",
        r"a \(dog:1.3) in a park",
        "a dog <3 a cat > a mouse",
        "(note: a dog) in a park",
    ],
)
def test_other_brackets_and_colons_are_text(prompt):
    assert remarks(_Large(), prompt) == cut_offs(prompt, {"T5": (_Large(), 77)}) == []


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
