"""One spelling of a text in Unicode, for names and words that are compared."""

import unicodedata


def nfc(text: str) -> str:
    """A text with each accented letter as one character: macOS writes file names as letter and accent apart (NFD)."""
    return unicodedata.normalize("NFC", text)
