"""The counting itself: knows nothing of the host."""

import re
from collections import Counter

from unicode_tables import CASED, CASE_IGNORED, LOWER_CASE, OF_WORDS

# Shortest word that counts as a term, in characters: shorter ones are mostly articles.
TERM_CHARACTERS_MIN = 3

# White_Space of Unicode. Python's own idea of it has four control characters more.
WORD = re.compile("[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

# Alphabetic or numeric characters of Unicode; `str.isalnum` leaves out some vowel signs and enclosed letters.
TERM = re.compile(f"[{OF_WORDS}]{{{TERM_CHARACTERS_MIN},}}")

# A capital sigma that ends its word: a letter with case comes before it, none behind it, whatever marks lie between.
FINAL_SIGMA = re.compile(f"(?<=[{CASED}])([{CASE_IGNORED}]*)Σ(?![{CASE_IGNORED}]*[{CASED}])")


def of(path: str, text: str, top: int) -> dict[str, object]:
    """What a text consists of: keeps the `top` most frequent terms, most frequent first, equals by their characters."""
    counts = Counter(lower_case(term) for term in TERM.findall(text))
    terms = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
    return {
        "path": path,
        "lines": text.count("\n") + (bool(text) and not text.endswith("\n")),
        "words": sum(1 for _ in WORD.finditer(text)),
        "bytes": len(text.encode()),
        "terms": [{"term": term, "count": count} for term, count in terms],
    }


def lower_case(word: str) -> str:
    """The word in lower case, by the same edition of Unicode in every version of Python."""
    if "Σ" in word:
        word = FINAL_SIGMA.sub(r"\1ς", word)
    return word.translate(LOWER_CASE)
