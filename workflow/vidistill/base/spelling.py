"""One Unicode spelling, for names and words that are compared."""

import unicodedata


def nfc(text: str) -> str:
    """The text with accented letters as single characters; file names of macOS store the accent separately (NFD)."""
    return unicodedata.normalize("NFC", text)
