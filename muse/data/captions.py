"""The sentence that says a picture's emotion: SimEmo's language supervision."""

from collections.abc import Sequence

FEELINGS: dict[str, str] = {
    "amusement": "ecstasy, joy, or serenity",
    "awe": "amazement, surprise, or distraction",
    "contentment": "admiration, trust, or acceptance",
    "excitement": "vigilance, anticipation, or interest",
    "anger": "rage, anger, or annoyance",
    "disgust": "loathing, disgust, or boredom",
    "fear": "terror, fear, or apprehension",
    "sadness": "grief, sadness, or pensiveness",
}
"""SimEmo's three words for every emotion (Deng et al. 2022)."""


def feeling_caption(emotion: str, entities: Sequence[str] = ()) -> str:
    """SimEmo's caption of a picture, with what is seen in it where that is known."""
    feelings = f"some feelings like {FEELINGS[emotion]}"
    if entities:
        return f"a photo contains {', '.join(entities)}, and it seems to express {feelings}"
    return f"a photo seems to express {feelings}"
