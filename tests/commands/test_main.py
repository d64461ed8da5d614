"""The command `vidistill`, as a person calls it."""

import os
import subprocess
import sys

import pytest

from conftest import ROOT
from vidistill import __version__
from vidistill.__main__ import main


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_importing_the_package_needs_the_standard_library_alone() -> None:
    names = "torch numpy pandas h5py matplotlib safetensors"
    done = python("-c", f"import sys, vidistill, vidistill.__main__; print(set({names.split()}) & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_commands_are_listed(arguments: list[str]) -> None:
    done = python("-m", "vidistill", *arguments)
    assert done.returncode == 0
    assert "ground" in done.stdout
    assert "locate" in done.stdout
    assert "onnx" in done.stdout


def test_the_version() -> None:
    assert python("-m", "vidistill", "--version").stdout == f"vidistill {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "misspelt", "meant"),
    [
        (["grund"], "grund", "ground"),
        (["Onnx"], "Onnx", "onnx"),
        (["--vesion"], "--vesion", "--version"),
        (["ground", "v.mp4", "a door", "--modle", "m.json"], "--modle", "--model"),
        (["ground", "v.mp4", "a door", "--pic=a.png", "--model", "m.json"], "--pic", "--picture"),
        (["ground", "v.mp4", "a door", "-model", "m.json"], "-model", "--model"),
        (["ground", "v.mp4", "a door", "\N{EM DASH}model", "m.json"], "\N{EM DASH}model", "--model"),
        (["locat"], "locat", "locate"),
        (["locate", "v.mp4", "--segmnt", "dive", "0", "1", "--model", "m.json"], "--segmnt", "--segment"),
        (["onnx", "m.json", "m.onnx", "--hlep"], "--hlep", "--help"),
    ],
)
def test_what_is_misspelt_is_named_with_what_is_meant(
    arguments: list[str],
    misspelt: str,
    meant: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["vidistill", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = str(ended.value)
    assert said.startswith("error: ")
    assert f"{misspelt!r}" in said
    assert f"did you mean {meant!r}?" in said
    assert "\n" not in said
    assert capsys.readouterr() == ("", "")


def test_what_is_like_nothing_is_not_guessed() -> None:
    for arguments in (["xyzzy"], ["ground", "--xyzzy"]):
        done = python("-m", "vidistill", *arguments)
        assert "xyzzy" in done.stderr
        assert "did you mean" not in done.stderr


@pytest.mark.parametrize("arguments", [["-m", "vidistill", "ground"], ["-m", "vidistill.commands.ground"]])
def test_a_refusal_is_one_sentence(arguments: list[str]) -> None:
    done = python(*arguments, __file__, "a door opens", "--model", "absent.safetensors")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: absent.safetensors does not exist; ")
    assert done.stderr.count("\n") == 1
