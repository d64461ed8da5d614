"""Numbers for people: counts with their nouns, percentages with meaningful decimals."""


def plural(count: int, noun: str) -> str:
    """ "1 query", "2 queries"; `noun` is the singular."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def percent(value: float, queries: int, *, sign: bool = False) -> str:
    """A percentage, with decimals that are meaningful for a mean over this many queries.

    One of 50 queries is 2 percent, so decimals would be spurious. The field gives two decimals, for thousands.
    """
    decimals = 0 if queries < 100 else 1 if queries < 1000 else 2
    rounded = round(value, decimals) + 0.0  # never -0
    return f"{rounded:{'+' if sign else ''}.{decimals}f}"
