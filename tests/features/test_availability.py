"""Which videos a model can be trained on, said before it is."""

import json
from pathlib import Path

import h5py
import pandas as pd
import pytest

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data.queries import QUERIES
from vidistill.features import availability

IDS = [f"v{number:02d}" for number in range(10)]


@pytest.fixture
def stage(tmp_path: Path):
    """The stage over ten videos, each stream with these states: id -> (status, reason)."""

    def run(max_bad_share: float = 0.2, **streams: dict[str, tuple[str, str]]) -> pd.DataFrame:
        rows = pd.DataFrame([(f"{v}#q", v, "train", 9.0, "a ball", None) for v in IDS], columns=QUERIES.names)
        store.write_table(tmp_path / "queries.parquet", rows, QUERIES, ["query_id"])
        for name, states in streams.items():
            with h5py.File(tmp_path / f"{name}.h5", "w") as file:
                for video_id, (status, reason) in states.items():
                    group = file.create_group(store.group_name(video_id))
                    group.attrs.update({"video_id": video_id, "status": status, "reason": reason})
        settings = json.dumps({"dataset": "d", "model": "m", "max_bad_share": max_bad_share})
        words = ["--settings", settings, "--queries", str(tmp_path / "queries.parquet")]
        words += ["--features", *(f"{name}={tmp_path / name}.h5" for name in streams)]
        availability.main([*words, "--output", str(tmp_path / "availability.csv")])
        return pd.read_csv(tmp_path / "availability.csv", keep_default_na=False).set_index("video_id")

    return run


def test_every_video_is_listed_with_what_became_of_it(stage) -> None:
    fine = dict.fromkeys(IDS, ("ok", ""))
    rgb = {**fine, "v01": ("bad", "unreadable"), "v02": ("partial", "the file's end is missing")}
    flow = {video: state for video, state in fine.items() if video != "v03"}
    table = stage(rgb=rgb, flow=flow)
    assert list(table.index) == IDS
    assert table.loc["v00"].tolist() == ["ok", ""]
    assert table.loc["v01"].tolist() == ["bad", "unreadable"]
    assert table.loc["v02"].tolist() == ["partial", "the file's end is missing"]
    assert table.loc["v03"].tolist() == ["missing", "flow"]


def test_too_many_bad_videos_stop_it_with_all_of_them(stage) -> None:
    """Of ten videos two are missing: two bad ones are a quarter of those that are there."""
    states = dict.fromkeys(IDS[:8], ("ok", "")) | {video: ("bad", f"broken {video}") for video in IDS[:2]}
    with pytest.raises(UserError, match=r"2 of 8 videos are bad.*max_bad_share 0\.2.*v00: broken v00; v01: broken v01"):
        stage(rgb=states)
    assert (stage(max_bad_share=0.25, rgb=states)["status"] == "missing").sum() == 2
