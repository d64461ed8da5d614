import pandas as pd
import pytest
import torch

import small_videos
from small_videos import CPU, query_id, train_settings
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.mmsd import rounds, tables, videos
from vidistill.mmsd.network import Network
from vidistill.mmsd.rounds import Rounds
from vidistill.mmsd.tables import Sequences
from vidistill.settings.mmsd import PseudoLabelSettings
from vidistill.training import knowledge


def made(folder, **changes):
    """Rounds of a small data set, and its videos."""
    settings = train_settings(**changes)
    small_videos.write(folder)
    files = [[folder / f"{stream}.h5"] for stream in settings.streams]
    training, classes = videos.labelled(folder / "queries.parquet", files, settings)
    torch.manual_seed(0)
    network = Network(settings.network, settings.streams, list(small_videos.DIMS.values()), len(classes))
    return Rounds(settings, network, training, folder / "work"), training


@pytest.mark.parametrize(
    ("epochs", "changes", "expected"),
    [
        (240, {"every": 40}, [40, 80, 120, 160, 200, 240]),
        (100, {"every": 40}, [40, 80, 100]),
        (30, {"every": 40}, [30]),
        (30, {"every": 10, "first_update": 13}, [5, 15, 25, 30]),  # 5 videos, 3 updates an epoch
        (30, {"every": 10, "first_update": 30}, [10, 20, 30]),
    ],
)
def test_rounds_end_with_their_epochs_and_the_last(tmp_path, epochs, changes, expected):
    assert made(tmp_path, pseudo_labels=changes, optimisation={"epochs": epochs})[0].ends == expected


def test_memory_never_lowers_a_confidence():
    before = None
    for seed in range(5):
        torch.manual_seed(seed)
        now = Sequences((torch.rand(3, 50) > 0.5).float(), torch.rand(3, 50).round(decimals=1))
        kept = rounds.remember(before, now)
        if before is not None:
            assert (kept.confidence >= before.confidence).all()
            changed = now.confidence > before.confidence
            torch.testing.assert_close(kept.values[changed], now.values[changed])
            torch.testing.assert_close(kept.values[~changed], before.values[~changed])
        before = kept


def test_foreground_is_what_is_above_the_threshold_as_it_is_or_rescaled():
    attention = torch.tensor([[0.1, 0.55, 0.56, 0.9], [0.1, 0.2, 0.3, 0.18], [0.7, 0.7, 0.7, 0.7]])
    absolute = rounds.foreground(attention, PseudoLabelSettings())
    assert absolute.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]
    relative = rounds.foreground(attention, PseudoLabelSettings(foreground="relative"))
    assert relative.tolist() == [[0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_a_round_writes_what_the_network_knows_and_reads_it_back(tmp_path):
    found, training = made(tmp_path)
    assert found.after(1, CPU) == {}
    assert found.pseudo_labels([0], CPU) is None
    shares = found.after(2, CPU)
    table = store.read_table(tmp_path / "work" / "round-001.parquet")
    assert set(table["kind"]) == {"foreground", "pseudo_label"}
    assert set(table["stream"]) == {"rgb", "flow", "fused"}
    assert len(table) == 2 * 3 * sum(map(len, training.queries))
    assert set(table["split"]) == {"train"}
    for video_id, rows in table.groupby("video_id"):
        assert set(rows["num_snippets"]) == {9 + int(video_id[1:])}
    labels = table[table["kind"] == "pseudo_label"].set_index(["stream", "query_id"])["values"]
    for row, (known,) in enumerate([found.pseudo_labels([i], CPU) for i in range(len(training))]):
        for stream, values in zip(("rgb", "flow", "fused"), known.values, strict=True):
            for query in training.queries[row]:
                assert labels[stream, query.query_id].tolist() == values.tolist()
    share = pd.Series([x for values in labels["rgb"] for x in values]).mean()
    once = labels["rgb"][[training.queries[row][0].query_id for row in range(len(training))]]
    share = torch.cat([torch.tensor(values) for values in once]).mean().item()
    assert shares["foreground_rgb"] == pytest.approx(share)
    assert set(shares) == {f"{n}_{x}" for n in ("foreground", "supervised", "voted") for x in ("rgb", "flow", "fused")}
    assert all(0 <= value <= 1 for value in shares.values())


@pytest.mark.parametrize("memory", [True, False])
def test_without_memory_the_latest_labels_count(tmp_path, memory):
    found, _ = made(tmp_path, pseudo_labels={"memory": memory})
    found.after(2, CPU)
    before = found.kept
    with torch.no_grad():
        found.network.foreground.mul_(-1)
        found.network.centers.mul_(torch.linspace(1, -1, 4)[:, None])
    found.after(4, CPU)
    lowered = [(now.confidence < then.confidence).any() for now, then in zip(found.kept, before, strict=True)]
    assert any(lowered) == (not memory)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_collapsed_labels_are_a_warning(tmp_path, caplog, share):
    found, _ = made(tmp_path, pseudo_labels={"threshold": 0.999999 if share == 0 else 0.0})
    found.after(2, CPU)
    said = [record.getMessage() for record in caplog.records if "collapsed" in record.getMessage()]
    assert len(said) == 3
    assert f"round 1: {100 * share:.1f} % of the labels of rgb are foreground" in said[0]


def test_healthy_labels_and_labels_that_nothing_learns_from_are_no_warning(tmp_path, caplog):
    made(tmp_path)[0].after(2, CPU)
    made(tmp_path, pseudo_labels={"threshold": 0.999999}, loss={"pseudo_label_weight": 0.0})[0].after(2, CPU)
    assert "collapsed" not in caplog.text


def edited(folder, change):
    """The table of round 1 after `change`, and the videos it is of."""
    found, training = made(folder)
    found.after(2, CPU)
    file = folder / "work" / "round-001.parquet"
    table = store.read_table(file)
    knowledge.write_maps(file, change(table))
    return file, training


def test_shuffled_rows_are_joined_by_query(tmp_path):
    file, training = edited(tmp_path, lambda table: table)
    expected = tables.read(file, training, ("rgb", "fused"), 1)
    store.read_table(file).sample(frac=1, random_state=0).to_parquet(file)
    for one, other in zip(tables.read(file, training, ("rgb", "fused"), 1), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_rows_of_a_video_that_contradict_each_other_are_an_error(tmp_path):
    def contradict(table):
        where = (table["query_id"] == query_id("v1", "jump")) & (table["stream"] == "flow")
        table.loc[where, "values"] = table.loc[where, "values"].map(lambda x: 1 - x)
        return table

    file, training = edited(tmp_path, contradict)
    with pytest.raises(UserError, match=r"round-001\.parquet: the rows of video 'v1' differ .*'flow'"):
        tables.read(file, training, ("flow",), 1)


def test_rows_of_another_length_are_an_error(tmp_path):
    def shorten(table):
        table["values"] = table["values"].map(lambda x: x[:-1])
        return table

    file, training = edited(tmp_path, shorten)
    with pytest.raises(UserError, match="video 'v1' are of 9 snippets, its features have 10"):
        tables.read(file, training, ("rgb",), 1)


def test_a_video_without_rows_has_no_labels(tmp_path):
    file, training = edited(tmp_path, lambda table: table[table["video_id"] != "v4"])
    found = tables.read(file, training, ("rgb", "flow"), 1)
    assert [x is None for x in found] == [video_id == "v4" for video_id in training.video_ids]
