"""Which training may see a moment, as the workflow's graph shows it; by dry runs."""

from pathlib import Path

import pytest

from workflow_runs import TINY, Job, Run, run

TRAININGS = ("train", "train_supervised")
MOMENTS, OF_TRAINING = "results/demo/moments.parquet", "results/demo/training_moments.parquet"
WEAK, PSEUDO = {"baseline", "teacher", "student"}, {"fast-pseudo", "seqpan-pseudo", "map2d-pseudo", "emtm-pseudo"}
FULL = {"seqpan", "map2d", "emtm", "fast", "emtm-mean"}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Models of every supervision, and a report, which reads moments and exports all models that it shows."""
    targets = [f"results/{model}_demo.json" for model in ("student", "emtm", "emtm-mean", "emtm-pseudo")]
    folder = tmp_path_factory.mktemp("planned")
    outcome = run(folder, *targets, "results/report_emtm-pseudo_demo.html", config=[TINY], dry=True)
    assert outcome.status == 0, outcome.text
    return outcome


def model_of(job: Job) -> str:
    return next(iter(job.outputs)).split("/")[2]


def above(job: Job, jobs: list[Job]) -> set[str]:
    """All files that a job's inputs are made of, itself."""
    found: set[str] = set()
    queue = list(job.inputs)
    while queue:
        if (file := queue.pop()) not in found:
            found.add(file)
            queue += [given for other in jobs if file in other.outputs for given in other.inputs]
    return found


def test_moments_reach_training_by_one_rule_and_its_table_alone(planned: Run) -> None:
    jobs = planned.graph
    trained = {model_of(job): job for job in jobs if job.rule in TRAININGS}
    assert trained.keys() == WEAK | PSEUDO | FULL
    for model, job in trained.items():
        files = above(job, jobs)
        assert MOMENTS not in files, model
        assert (OF_TRAINING in files) == (model in FULL), model
        assert job.rule == ("train_supervised" if model in FULL else "train")
    assert {job.rule for job in jobs if OF_TRAINING in job.inputs} == {"train_supervised"}
    assert {job.rule for job in jobs if MOMENTS in job.inputs} == {"evaluate", "figures"}
    (made,) = (job for job in jobs if OF_TRAINING in job.outputs)
    assert made.inputs == {"results/demo/annotations.csv", "results/demo/queries.parquet"}


def test_neither_moments_nor_labels_of_test_videos_reach_models_of_actions(tmp_path: Path) -> None:
    outcome = run(tmp_path, "results/mmsd_demo-actions.json", config=[TINY], dry=True)
    assert outcome.status == 0, outcome.text
    jobs = outcome.graph
    seen = {job.rule: above(job, jobs) for job in jobs if job.rule in ("train_actions", "localise")}
    assert len(seen) == 2
    for rule, files in seen.items():
        tables = {file for file in files if file.startswith("results/demo-actions/") and file.count("/") == 2}
        assert tables == {"results/demo-actions/training_labels.parquet"}, rule
    for table in ("moments", "queries"):
        read = {job.rule for job in jobs if f"results/demo-actions/{table}.parquet" in job.inputs}
        assert read == {"localisation", *(["moments"] if table == "queries" else [])}
    (made,) = (job for job in jobs if "results/demo-actions/training_labels.parquet" in job.outputs)
    assert {"results/demo/actions.csv"} <= made.inputs


def test_the_graph_can_show_a_path(planned: Run) -> None:
    (evaluated,) = (job for job in planned.graph if "results/emtm-pseudo_demo.json" in job.outputs)
    assert {MOMENTS, "results/demo/emtm-pseudo/seed-0/model.safetensors", "results/demo/annotations.csv"} <= above(
        evaluated, planned.graph
    )


def test_commands_are_given_hard_labels_by_supervision(planned: Run) -> None:
    commands = [line for line in planned.text.splitlines() if ".train --settings" in line]
    options = ("--training-moments ", "--labels ")
    for command in commands:
        model = command.partition("--model results/demo/")[2].partition("/")[0]
        given = [option for option in options if option in command]
        assert given == ([] if model in WEAK else [options[model in PSEUDO]]), model
    assert all("--labels results/demo/teacher/seed-0/pseudo_labels.parquet" in c for c in commands if "--labels " in c)


def test_a_student_is_given_the_maps_of_its_teachers_in_their_order(planned: Run) -> None:
    lines = planned.text.splitlines()
    (command,) = (line for line in lines if "emtm.train " in line and "--model results/demo/emtm/seed-0/" in line)
    maps = [f"results/demo/{teacher}/seed-0/activation_maps.parquet" for teacher in ("map2d", "teacher", "seqpan")]
    assert f"--pseudo-labels  --activation-maps {' '.join(maps)} --training-moments" in command


def test_without_training_moments_a_full_model_is_refused_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("video,sentence,split,start,end\na,a ball,train,,\nb,a ball,test,1,2\n")
    (tmp_path / "rgb.npz").touch()
    stream = {"extractor": "external", "source": "rgb.npz"}
    changes = {
        "collections": {"own": {"shards": 1, "streams": {"rgb": stream, "flow": stream}}},
        "datasets": {"own": {"collection": "own", "annotations": {"train": ["own.csv"]}}},
    }
    outcome = run(tmp_path, "results/fast_own.json", config=[TINY], changes=changes, dry=True)
    assert outcome.status == 1
    assert len(outcome.errors) == 1, outcome.text
    assert "datasets.own has no moment (start and end) in its training splits (train)" in outcome.errors[0]
    pseudo = run(tmp_path, "results/fast-pseudo_own.json", config=[TINY], changes=changes, dry=True)
    assert pseudo.status == 0, pseudo.text


def test_moments_of_the_training_splits_alone_decide_about_training(tmp_path: Path) -> None:
    table = "video,sentence,split,start,end,duration\na,a ball,train,1,2,9\nb,a ball,test,1,2,9\n"
    (tmp_path / "rgb.npz").touch()
    changes = {
        "collections": {"own": {"shards": 1, "streams": {"rgb": {"extractor": "external", "source": "rgb.npz"}}}},
        "datasets": {"own": {"collection": "own", "annotations": {"train": ["own.csv"]}}},
    }
    targets = ("results/own/training_moments.parquet", "results/own/moments.parquet")
    (tmp_path / "own.csv").write_text(table)
    made = run(tmp_path, *targets, config=[TINY], changes=changes)
    assert made.status == 0, made.text
    for corrected, jobs in (("train,1", {"moments": 1, "training_moments": 1}), ("test,1", {"moments": 1})):
        (tmp_path / "own.csv").write_text(table.replace(corrected, corrected + ".5"))
        assert run(tmp_path, *targets, config=[TINY], changes=changes, dry=True).jobs == jobs
