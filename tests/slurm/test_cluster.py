"""When the tests start no cluster, and say so."""

import os
from pathlib import Path

import pytest

import cluster as clusters


@pytest.fixture
def etc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of Slurm's configuration, on a machine with root and Slurm."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(clusters, "PROGRAMS", ("sh",))
    monkeypatch.setattr(clusters, "ETC", tmp_path)
    return tmp_path


def refused(folder: Path) -> str:
    with pytest.raises(clusters.UnavailableError) as reason, clusters.cluster(folder):
        pass
    return str(reason.value)


@pytest.mark.parametrize("name", clusters.FILES)
def test_a_configuration_of_someone_elses_stays_as_it_is(etc: Path, name: str) -> None:
    (etc / name).write_text("ClusterName=theirs\n")
    assert f"{etc / name} is someone's" in refused(etc)
    assert {path.name: path.read_text() for path in etc.iterdir()} == {name: "ClusterName=theirs\n"}


def test_a_cluster_of_another_run_is_left_alone(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "slurm.conf").write_text(clusters.MARK)
    monkeypatch.setattr(clusters, "said", lambda *command: "Slurmctld(primary) at here is UP\n")
    assert "another run of these tests" in refused(etc)
    assert (etc / "slurm.conf").read_text() == clusters.MARK


def test_without_root_or_packages_there_is_none(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "PROGRAMS", ("slurmctld-that-is-absent",))
    monkeypatch.setattr(clusters.shutil, "which", lambda name: None)
    assert refused(etc) == "no Slurm here, and no apt-get to install it."
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refused(etc) == "no Slurm here: starting it takes root."
    assert list(etc.iterdir()) == []
