"""What a palindrome is: letters and digits read the same both ways, whatever their case, accents and punctuation."""

import unicodedata

LENGTH_MAX = 4096


class Unreadable(ValueError):
    """A text that no answer can be given for; its message is for the person who sent it."""


def read(text):
    """Returns the text as it will be judged and stored."""
    if not isinstance(text, str):
        raise Unreadable("`text` must be a string")
    if len(text) > LENGTH_MAX:
        raise Unreadable(f"`text` has {len(text)} characters; {LENGTH_MAX} is the most")
    if "\0" in text or any(unicodedata.category(c) == "Cs" for c in text):
        raise Unreadable("`text` holds a character that is not text")
    if not _letters(text):
        raise Unreadable("`text` holds no letter and no digit")
    return text


def is_palindrome(text):
    letters = _letters(text)
    return letters == letters[::-1]


def _letters(text):
    return [c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum()]
