from vidistill.base.wording import percent, plural


def test_counts_agree_with_their_nouns():
    assert [plural(n, "query") for n in (0, 1, 2)] == ["0 queries", "1 query", "2 queries"]
    assert plural(1, "seed") == "1 seed"
    assert plural(2, "annotated query") == "2 annotated queries"


def test_decimals_follow_the_number_of_queries():
    assert [percent(12.345, n) for n in (1, 99, 100, 999, 1000)] == ["12", "12", "12.3", "12.3", "12.35"]
    assert percent(-0.2, 50, sign=True) == "+0"
    assert percent(-3.4, 500, sign=True) == "-3.4"
