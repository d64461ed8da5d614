"""The configuration and the files on disk, for the rules: neither PyTorch nor NumPy is imported here."""
