import pandas as pd
import pytest

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.training import knowledge


def row(query: str, teacher: str, **about: object) -> dict[str, object]:
    key = {"query_id": query, "video_id": query[0], "split": "train", "teacher": teacher, "stream": "fused"}
    return {**key, "seed": 0, "round": 0, **about}


def moment(query: str, teacher: str, start: float, **about: object) -> dict[str, object]:
    nothing = dict.fromkeys(("proposal_index", "center", "width", "reconstruction_error"))
    return {**row(query, teacher), "rank": 0, "start": start, "end": start + 1, "score": 0.5, **nothing, **about}


def activation(query: str, teacher: str, values: list[float], **about: object) -> dict[str, object]:
    shape = {"kind": "semantic", "num_snippets": len(values), "values": values, "confidence": None}
    return {**row(query, teacher), **shape, **about}


@pytest.fixture
def tables(tmp_path):
    """Two teachers in two files; one has two rounds, kinds and ranks."""
    first = [moment("b#0", "elder", 3.0), moment("a#0", "elder", 1.0), moment("a#0", "elder", 9.0, rank=1)]
    second = [moment("a#0", "younger", 5.0), moment("a#0", "younger", 6.0, round=1)]
    maps = [activation("a#0", "younger", [0.1, 0.2]), activation("a#0", "younger", [1.0, 0.0], kind="foreground")]
    maps += [activation("a#0", "younger", [0.3, 0.4], round=1), activation("a#0", "younger", [0.5], stream="rgb")]
    files = [tmp_path / name for name in ("first.parquet", "second.parquet", "maps.parquet")]
    knowledge.write_labels(files[0], pd.DataFrame(first), dataset="d")
    knowledge.write_labels(files[1], pd.DataFrame(second))
    knowledge.write_maps(files[2], pd.DataFrame(maps))
    return files


def test_each_teachers_best_label_of_its_last_round_is_found_by_query(tables):
    found = knowledge.labels(tables[:2])
    assert found["start"].to_dict() == {("elder", "a#0"): 1.0, ("elder", "b#0"): 3.0, ("younger", "a#0"): 6.0}
    assert knowledge.labels(tables[1:2], number=0)["start"].to_list() == [5.0]


def test_maps_are_told_by_kind_stream_and_round(tables):
    def values(**wanted):
        return [list(x) for x in knowledge.maps(tables[2:], **wanted)["values"]]

    assert values() == [pytest.approx([0.3, 0.4])]
    assert values(number=0) == [pytest.approx([0.1, 0.2])]
    assert values(kind="foreground") == [[1.0, 0.0]]
    assert values(stream="rgb") == [[0.5]]


def test_files_say_where_they_are_from(tables):
    assert store.read_metadata(tables[0])["dataset"] == "d"


def test_a_table_of_a_supervised_teacher_teaches_supervised_models_alone(tables, tmp_path):
    file = tmp_path / "full.parquet"
    knowledge.write_labels(file, pd.DataFrame([moment("a#0", "elder", 1.0)]), supervision="full")
    knowledge.check_supervision([*tables, file], "full")
    knowledge.check_supervision(tables, "pseudo")
    for supervision in ("weak", "pseudo"):
        with pytest.raises(UserError, match=rf"full\.parquet is of a teacher .* supervision is {supervision}"):
            knowledge.check_supervision([*tables, file], supervision)


def test_two_rows_of_a_teacher_for_a_query_are_an_error(tmp_path):
    knowledge.write_labels(tmp_path / "twice.parquet", pd.DataFrame([moment("a#0", "elder", 1.0)] * 2))
    with pytest.raises(UserError, match=r"twice\.parquet: teacher 'elder' has two rows for query a#0"):
        knowledge.labels([tmp_path / "twice.parquet"])
