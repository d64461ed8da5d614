"""The page of `vidistill app`, as a person uses it: in a browser, on a server of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from browser import DESKTOP, PHONE, chromium, hosts, overflow
from vidistill.base.stage import UserError
from vidistill.commands import app_cli
from vidistill.commands.ground import Grounder
from vidistill.commands.one_video import Video

SENTENCE, MEGABYTES = "the green box goes up", 2


@pytest.fixture(scope="module")
def model(tiny_results: Path) -> Path:
    pytest.importorskip("gradio")
    return tiny_results / "student_demo.json"


def video(results: Path, suffix: str) -> Path:
    return next(iter(sorted((results / "demo" / "videos").glob(f"*{suffix}"))))


@dataclass
class Served:
    address: str
    process: subprocess.Popen[str]
    work: Path


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The command, in a process of its own."""
    work = tmp_path_factory.mktemp("work")
    words = ["--model", str(model), "--port", "0", "--work", str(work), "--max-size", str(MEGABYTES)]
    process = subprocess.Popen(
        [sys.executable, "-m", "vidistill", "app", *words, "--device", "cpu", "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "GRADIO_SHARE": "True"},  # whoever has this set for others
    )
    assert process.stdout
    said = next((line for line in process.stdout if line.startswith("Open ")), "")
    try:
        yield Served(re.search(r"http://127\.0\.0\.1:\d+", said)[0], process, work)  # type: ignore[index]
    finally:
        process.kill()
        process.wait()


class Page:
    """The page in a browser, and what a person does on it."""

    def __init__(self, browser: Any, address: str):
        from selenium.webdriver.support.ui import WebDriverWait

        self.browser = browser
        browser.get(address)
        self.wait = WebDriverWait(browser, 60)

    def find(self, where: str) -> Any:
        return self.wait.until(lambda browser: browser.find_element("css selector", where))

    def drop(self, path: Path) -> None:
        if clear := self.browser.find_elements("css selector", "#video [aria-label=Clear]"):
            clear[-1].click()
        self.find("#video input[type=file]").send_keys(str(path))
        self.find("#video video")

    def ask(self, sentence: str) -> None:
        from selenium.webdriver.common.keys import Keys

        box = self.find("#sentence textarea, #sentence input")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(sentence, Keys.ENTER)

    def script(self, text: str) -> Any:
        return self.browser.execute_script(f"const v = document.querySelector('#video video'); return {text}")

    def jumped(self, start: float, end: float) -> bool:
        """Whether the video plays a moment, or has played it and rests at its end."""
        at, paused = self.script("[v.currentTime, v.paused]")
        return start - 0.1 <= at <= end + 0.7 and (not paused or at >= end)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_person_drops_a_video_types_a_sentence_and_jumps(
    served: Served, tiny_results: Path, model: Path, size
) -> None:
    path = video(tiny_results, ".mp4")
    grounder = Grounder(model, device="cpu", threads=1)
    (answer,) = grounder.ask(grounder.watch(path), [SENTENCE])
    with chromium(size) as browser:
        page = Page(browser, served.address)
        page.drop(path)
        page.ask(SENTENCE)
        page.find("#found button")
        shown = browser.find_elements("css selector", "#found button")
        assert [float(one.get_attribute("data-start")) for one in shown] == pytest.approx(
            [moment.start for moment in answer.moments[:3]], abs=1e-3
        )
        assert page.script("document.querySelectorAll('#found svg path').length") == 1
        for button, moment in list(zip(shown, answer.moments, strict=False))[::-1]:
            button.click()
            page.wait.until(lambda _, moment=moment: page.jumped(moment.start, moment.end))
        page.script("v.pause()")
        browser.find_element("css selector", "#found svg").click()  # in its middle
        page.wait.until(lambda _: page.jumped(answer.duration / 2, answer.duration))
        page.wait.until(lambda _: page.script("Number(document.querySelector('#found line').getAttribute('x1')) > 400"))
        assert overflow(browser) <= 0
        assert hosts(browser) == {"127.0.0.1"}


def test_what_a_person_has_to_mend_is_a_sentence_on_the_page(
    served: Served, tiny_results: Path, tmp_path: Path
) -> None:
    (tmp_path / "none.mp4").write_bytes(b"no video" * 1000)
    big = tmp_path / "big.mp4"
    big.write_bytes(bytes(MEGABYTES * 1_000_000 + 1))
    with chromium() as browser:
        page = Page(browser, served.address)

        def told(text: str) -> None:
            page.wait.until(lambda _: text in page.find("#found [role=alert]").text)

        page.ask(SENTENCE)
        told("no video is chosen")
        page.drop(tmp_path / "none.mp4")
        page.ask(SENTENCE)
        told("none.mp4 cannot be read as a video")
        page.drop(video(tiny_results, ".mp4"))
        page.ask("zeppelin")
        told("does not know the words zeppelin")
        page.find("#video [aria-label=Clear]").click()
        page.find("#video input[type=file]").send_keys(str(big))
        page.wait.until(lambda _: "big.mp4" in page.find("body").text)
        assert not page.browser.find_elements("css selector", "#video video")
        assert hosts(browser) == {"127.0.0.1"}
    assert not list(served.work.rglob("big.mp4"))


def test_the_server_takes_no_larger_file_and_reports_nothing(served: Served, tmp_path: Path) -> None:
    import httpx

    client = httpx.Client(base_url=served.address, timeout=30)
    content = bytes(MEGABYTES * 1_000_000 + 1)
    sent = client.post("/gradio_api/upload", files={"files": ("big.mp4", content, "video/mp4")})
    assert sent.status_code >= 400
    assert not list(served.work.rglob("big.mp4"))
    config = client.get("/config").json()
    assert not config["analytics_enabled"]
    assert config["footer_links"] == []
    loaded = re.findall(r"url\(.?(https?://[^)]*)|@import", client.get("/theme.css").text)
    assert [address for address in loaded if not address.startswith("http://www.w3.org/")] == []


def test_a_signal_ends_it_and_uploads_are_gone(model: Path, tiny_results: Path, tmp_path: Path) -> None:
    import httpx

    words = [sys.executable, "-m", "vidistill", "app", "--model", str(model), "--port", "0", "--work", str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    address = next(line for line in process.stdout if line.startswith("Open ")).split()[1]
    path = video(tiny_results, ".mp4")
    httpx.post(f"{address}/gradio_api/upload", files={"files": (path.name, path.read_bytes(), "video/mp4")}, timeout=30)
    assert list(tmp_path.rglob(path.name))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert list(tmp_path.iterdir()) == []


def test_features_are_made_once_and_progress_is_told(
    model: Path, tiny_results: Path, tmp_path: Path, monkeypatch
) -> None:
    from vidistill.commands import app

    grounder = Grounder(model, device="cpu", threads=1)
    watch, made = grounder.watch, list[str]()

    def slow(path: str, **options: Any) -> Video:
        made.append(path)
        with options["watch"]("decoding", lambda: "7 frames"):
            time.sleep(3 * app.STEP)
        return watch(path, **options)

    monkeypatch.setattr(grounder, "watch", slow)
    monkeypatch.setattr(app, "KEPT", 1)
    asker, told = app.Asker(grounder, 2, tmp_path), list[str]()
    one, other = str(video(tiny_results, ".mp4")), str(video(tiny_results, ".webm"))
    first = asker.ask(one, SENTENCE, told.append)
    assert first.count("<button") == 2
    assert any(text.startswith("decoding: 7 frames") for text in told)
    assert asker.ask(one, SENTENCE, told.append) == first
    assert asker.ask(other, SENTENCE, told.append) != first
    assert asker.ask(one, SENTENCE, told.append) == first
    assert made == [one, other, one]
    assert list(tmp_path.iterdir()) == []


def test_what_a_sentence_holds_is_text_and_not_html(model: Path, tiny_results: Path, tmp_path: Path) -> None:
    from vidistill.commands import app

    asker = app.Asker(Grounder(model, device="cpu", threads=1), 1, tmp_path)
    for sentence in ("<img src=x> the box moves", "<img src=x>"):
        assert "<img" not in asker.ask(str(video(tiny_results, ".mp4")), sentence, lambda _: None)


def test_mistakes_are_said_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: str) -> str:
        with pytest.raises(UserError) as error:
            app_cli.serve(app_cli.parser().read(["--model", "absent.json", *words]))
        return str(error.value)

    pytest.importorskip("gradio")
    assert "--max-size" in refused("--max-size", "0")
    assert "port 99999" in refused("--port", "99999")
    assert "absent.json does not exist" in refused("--port", "0")
    monkeypatch.setattr(app_cli.importlib.util, "find_spec", lambda name: None)
    assert "pip install -e '.[app]'" in refused()
