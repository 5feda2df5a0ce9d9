"""What words are and how texts match, once more, out of `unicodedata` alone."""

import unicodedata

# How the names of letters begin that are written without spaces between words.
_WITHOUT_SPACES = (
    "CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA",
    "BOPOMOFO", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR",
)  # fmt: skip


def any_text(texts: list[str], mode: str, wanted: str) -> bool:
    if mode == "exact_value":
        return any(text != "" and folded(text) == folded(wanted) for text in texts)
    words = words_of(wanted)
    if not words:
        return False
    if mode == "phrase":
        return any(_has_phrase(words_of(text), words) for text in texts)
    found = [word for text in texts for word in words_of(text)]
    return all(any(_word_matches(have, want, mode == "beginning_of_words") for have in found) for want in words)


def _has_phrase(found: list[str], words: list[str]) -> bool:
    return any(
        all(_word_matches(found[start + place], word, False) for place, word in enumerate(words))
        for start in range(len(found) - len(words) + 1)
    )


def _word_matches(have: str, want: str, is_beginning: bool) -> bool:
    if any(unicodedata.name(sign, "").startswith(_WITHOUT_SPACES) for sign in want):
        return want in have
    return have.startswith(want) if is_beginning else have == want


def folded(text: str) -> str:
    return "".join(character.lower()[:1] for character in unicodedata.normalize("NFC", text))


def words_of(text: str) -> list[str]:
    marked = "".join(character if _is_of_a_word(character) else " " for character in folded(text))
    stripped = [_without_leading_marks(word) for word in marked.split(" ")]
    return [word for word in stripped if word]


def _is_of_a_word(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd"


def _without_leading_marks(word: str) -> str:
    while word and unicodedata.category(word[0])[0] == "M":
        word = word[1:]
    return word
