"""EMTM: a fast student with several teachers (Liang et al., arXiv 2308.03725)."""
