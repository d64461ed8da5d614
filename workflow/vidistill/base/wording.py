"""Numbers as people read them: counts with their nouns, percentages with as many decimals as they can bear."""


def plural(count: int, noun: str) -> str:
    """Such as "1 query", "2 queries"; the noun is given for one."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def percent(value: float, queries: int, *, sign: bool = False) -> str:
    """A percentage, with the decimals that mean something for a mean over so many queries.

    One query of 50 is 2 percent, so that decimals would be invented; two decimals are the field's, for thousands.
    """
    decimals = 0 if queries < 100 else 1 if queries < 1000 else 2
    rounded = round(value, decimals) + 0.0  # never -0
    return f"{rounded:{'+' if sign else ''}.{decimals}f}"
