"""Several teachers and streams as one target, and the student that learns from it."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_train import run

import small
from small import load
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.mmdist import losses, sources, targets
from vidistill.settings.mmdist import DistillationSettings
from vidistill.training import knowledge

SNIPPETS = 12
STREAMS = ("fused", "rgb")


def write_teacher(folder, name, seed, *, confidence=None):
    """The two tables of a teacher that knows something random about every query, in `folder`."""
    random = np.random.default_rng(seed)
    queries = store.read_table(folder / "queries.parquet")
    about = queries[["query_id", "video_id", "split"]].assign(teacher=name, seed=seed, round=0, stream="fused")
    width, center = random.uniform(0.1, 0.4, len(about)), random.uniform(0.3, 0.7, len(about))
    moments = {"rank": 0, "start": 0.0, "end": 1.0, "score": 0.5, "proposal_index": seed % 3}
    labels = about.assign(**moments, center=center, width=width, reconstruction_error=None)
    shape = {"kind": "semantic", "num_snippets": SNIPPETS}
    maps = [
        about.assign(
            **shape,
            stream=stream,
            values=list(random.uniform(-1, 1, (len(about), SNIPPETS)).astype(np.float32)),
            confidence=confidence and [np.full(SNIPPETS, confidence, np.float32)] * len(about),
        )
        for stream in STREAMS
    ]
    files = folder / f"{name}-labels.parquet", folder / f"{name}-maps.parquet"
    knowledge.write_labels(files[0], labels)
    knowledge.write_maps(files[1], pd.concat(maps))
    return files


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A folder, and the tables of labels and those of maps of three teachers."""
    folder = small.write(tmp_path_factory.mktemp("teachers"))
    labels, maps = zip(*(write_teacher(folder, f"t{n}", n) for n in range(3)), strict=True)
    return folder, labels, maps


def settings(config, count=3, **distillation):
    names = [f"t{n}" for n in range(count)]
    return small.train_settings(config, "student", teachers=names, distillation={"aggregation": "mean", **distillation})


def table(values, confidence=None):
    rows = [np.array(row, np.float32) for row in values]
    stated = [None] * len(rows) if confidence is None else [np.array(row, np.float32) for row in confidence]
    return pd.DataFrame({"values": pd.Series(rows), "confidence": pd.Series(stated, dtype=object)})


def test_sources_vote_as_in_the_worked_example():
    q = [(0.90, 0.55, 0.65), (0.50, 0.85, 0.10), (0.20, 0.30, 0.59), (0.70, 0.65, 0.98)]
    b = [(1.0, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 0)]
    voters = [table([[row[n] for row in b]], [[row[n] for row in q]]) for n in range(3)]
    target, mask = sources.together(voters, 4, DistillationSettings(aggregation="self_voting"))
    assert mask.tolist() == [[True, True, False, True]]
    assert target[mask].tolist() == [1, 0, 0.5]
    filled, everywhere = sources.together(voters, 4, DistillationSettings(aggregation="self_voting", unreliable="mean"))
    assert everywhere is None
    assert filled[0].tolist() == pytest.approx([1, 0, 2 / 3, 0.5])
    mean, everywhere = sources.together(voters, 4, DistillationSettings(aggregation="mean"))
    assert everywhere is None
    assert mean[0].tolist() == pytest.approx([2 / 3, 1 / 3, 2 / 3, 2 / 3])


def test_a_source_without_confidence_is_sure_at_its_extremes():
    voters = [table([[0.0, 0.5, 1.0, 0.9]]), table([[0.3, 0.3, 0.3, 0.3]])]  # the second is never sure
    target, mask = sources.together(voters, 4, DistillationSettings(aggregation="self_voting"))
    assert mask.tolist() == [[True, False, True, True]]
    assert target[mask].tolist() == pytest.approx([0.0, 1.0, 0.9])


@pytest.mark.parametrize("aggregation", ["mean", "self_voting"])
def test_one_source_that_is_always_reliable_teaches_as_in_mmdist(config, teachers, aggregation):
    folder, labels, maps = teachers
    tables = ["--pseudo-labels", labels[0], "--activation-maps", maps[0]]
    alone = small.train_section(config, "student")
    several = small.train_section(config, "student", distillation={"aggregation": aggregation, "reliable": 0.0})
    files = [run(folder, section, f"{aggregation}-{n}", tables) for n, section in enumerate((alone, several))]
    for key in ("history", "predictions"):
        assert store.file_digest(files[0][key]) == store.file_digest(files[1][key]), key


def test_of_several_pseudo_labels_the_one_that_stands_out_is_learned(config, teachers):
    folder, labels, maps = teachers
    s = settings(config)
    known, found = targets.read(load(folder), labels, maps, s)
    moments = knowledge.labels(labels)
    values = np.stack([[knowledge.maps([m]).droplevel(0).loc[q, "values"] for q in known.query_ids] for m in maps])
    np.testing.assert_allclose(found.maps, values.mean(0), atol=1e-6)
    picked = set()
    for row, query in enumerate(known.query_ids):
        stands_out = []
        for n in range(3):
            center, width = moments.loc[(f"t{n}", query), ["center", "width"]]
            inside = np.zeros(SNIPPETS, bool)
            inside[int((center - width / 2) * SNIPPETS) : int(np.ceil((center + width / 2) * SNIPPETS))] = True
            stands_out.append(values.mean(0)[row][inside].mean() - values.mean(0)[row][~inside].mean())
        best = int(np.argmax(stands_out))
        picked.add(best)
        assert found.proposal[row].tolist() == pytest.approx(moments.loc[(f"t{best}", query), ["center", "width"]])
        assert found.index[row] == best
    assert len(picked) == 3


def test_a_moment_without_a_counted_snippet_inside_or_outside_stands_out_by_0():
    target, mask = torch.tensor([[0.9, 0.1, 0.1, 0.1]]), torch.tensor([[True, True, False, False]])
    moments = torch.tensor([[[0.0, 0.25], [0.0, 1.0], [0.5, 1.0], [0.0, 0.5]]])
    assert sources.contrast(moments, target, mask)[0].tolist() == pytest.approx([0.8, 0, 0, 0])
    assert sources.contrast(moments, target, None)[0].tolist() == pytest.approx([0.8, 0, -0.4, 0.4])


def test_masked_snippets_teach_nothing():
    student, target = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]), torch.full((2, 3), 0.25)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    student.requires_grad_()
    found = losses.map_difference(student, target, "absolute", mask)
    assert found.tolist() == [0.25, 0]
    found.sum().backward()
    assert student.grad.tolist() == [[-0.5, 0.5, 0], [0, 0, 0]]


def test_the_streams_of_a_teacher_are_sources_of_their_own(config, teachers):
    folder, labels, maps = teachers
    _, found = targets.read(load(folder), labels[:1], maps[:1], settings(config, 1, streams=STREAMS))
    both = [targets.read(load(folder), labels[:1], maps[:1], settings(config, 1, streams=[x]))[1].maps for x in STREAMS]
    torch.testing.assert_close(found.maps, (both[0] + both[1]) / 2)


def test_a_student_is_trained_by_the_vote_of_several_teachers(config, teachers):
    folder, labels, maps = teachers
    tables = ["--pseudo-labels", *labels, "--activation-maps", *maps]
    voted = {"aggregation": "self_voting", "streams": list(STREAMS)}
    histories = []
    for name, changes in (("mask", {}), ("fill", {"unreliable": "mean"}), ("no-map", {"local_level": False})):
        section = small.train_section(config, "student", teachers=["t:0", "t:1", "t:2"], distillation=voted | changes)
        histories.append(store.read_table(run(folder, section, name, tables)["history"]))
    assert (histories[0]["distillation_local"] != histories[1]["distillation_local"]).all()
    assert "distillation_local" not in histories[2]


def test_a_query_that_one_teacher_lacks_is_left_out_and_counted(config, teachers, tmp_path, caplog):
    folder, labels, maps = teachers
    fewer = store.read_table(maps[1]).query("query_id != 'v1#0' or stream != 'rgb'")
    knowledge.write_maps(tmp_path / "fewer.parquet", fewer)
    changed = [maps[0], tmp_path / "fewer.parquet", maps[2]]
    known, found = targets.read(load(folder), labels, changed, settings(config, streams=STREAMS))
    assert "v1#0" not in known.query_ids
    assert len(known) == len(found.maps) == 19
    assert "1 of 20 queries are left out" in caplog.text


def test_mistakes_are_said_in_a_sentence(config, teachers, tmp_path):
    folder, labels, maps = teachers
    with pytest.raises(UserError, match="there are 3 teachers and 1 streams; set it to mean or self_voting"):
        settings(config, aggregation="single")
    with pytest.raises(UserError, match=r"t0-maps\.parquet has in its maps of stream 'flow' none of the queries"):
        targets.read(load(folder), labels, maps, settings(config, streams=["flow"]))
    section = small.train_section(config, "student", teachers=["a", "b"], distillation={"aggregation": "mean"})
    tables = ["--pseudo-labels", *labels[:2], "--activation-maps", maps[0]]
    with pytest.raises(UserError, match="--activation-maps, 2 in all, not 1"):
        run(folder, section, "half", tables)
    short = store.read_table(maps[0])
    short["confidence"] = [np.ones(3, np.float32)] * len(short)
    knowledge.write_maps(tmp_path / "short.parquet", short)
    with pytest.raises(UserError, match=r"short\.parquet: query v0#0 has 12 values and 3 confidences"):
        targets.read(load(folder), labels[:1], [tmp_path / "short.parquet"], settings(config, 1))
