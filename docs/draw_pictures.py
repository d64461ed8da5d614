"""Draw the pictures of the README and the documentation from a finished demo: docs/pictures.

make report                    # the demo and its report
apt-get install chromium chromium-driver graphviz
python docs/draw_pictures.py   # in the environment of make test, in about two minutes
"""

import contextlib
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow")]
PICTURES = ROOT / "docs" / "pictures"
RESULT, REPORT = "results/student_demo.json", "results/report_student_demo.html"
COLOURS = 256  # of a picture's palette
WIDTH, HEIGHT = 1180, 760  # pixels of a page's picture

from browser import chromium  # noqa: E402
from vidistill.commands import ground_cli  # noqa: E402
from vidistill.data.queries import video_files  # noqa: E402


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    query = a_good_answer()
    video = video_files([Path("results/demo/videos")])[query["video_id"]]
    answer(video, query)
    graph()
    report()
    app(video, query["sentence"])
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def a_good_answer() -> Any:
    """The first test query of an MP4 that the first seed's student answers well: what one hopes to see."""
    queries = pd.read_parquet("results/demo/queries.parquet").set_index("query_id")
    moments = pd.read_parquet("results/demo/moments.parquet").set_index("query_id")
    found = pd.DataFrame(
        {
            "query_id": line["qid"],
            "start": line["pred_relevant_windows"][0][0],
            "end": line["pred_relevant_windows"][0][1],
        }
        for line in map(json.loads, Path("results/demo/student/predictions.jsonl").read_text().splitlines())
    ).set_index("query_id")
    both = queries.join(moments).join(found.add_suffix("_found"), how="inner").sort_index()
    mp4 = {name for name, path in video_files([Path("results/demo/videos")]).items() if path.suffix == ".mp4"}
    overlap = both[["end", "end_found"]].min(axis=1) - both[["start", "start_found"]].max(axis=1)
    union = both[["end", "end_found"]].max(axis=1) - both[["start", "start_found"]].min(axis=1)
    return both[both["video_id"].isin(mp4) & (both["split"] == "test") & (overlap / union > 0.8)].iloc[0]


def answer(video: Path, query: Any) -> None:
    """answer.png: `vidistill ground --picture`, with the true moment."""
    path = PICTURES / "answer.png"
    words = [str(video), query["sentence"], "--model", RESULT, "--device", "cpu", "--threads", "1", "--any-code"]
    with contextlib.redirect_stdout(io.StringIO()):
        moment = ["--moment", f"{query['start']:.2f}", f"{query['end']:.2f}"]
        ground_cli.main([*words, "--picture", str(path), *moment])
    save(Image.open(path).convert("RGB"), path)


def graph() -> None:
    """graph.svg: the rules behind a result, by Snakemake and Graphviz."""
    words = [sys.executable, "-m", "snakemake", "--forceall", "--rulegraph", "dot", "--cores", "1", REPORT]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    text = text[text.index("digraph") :]
    # From left to right, in one colour.
    text = re.sub(r'color = "[^"]*", style="rounded(,dashed)?"', 'color = "#0072B2", style="rounded"', text)
    text = text.replace("graph[", "graph[rankdir=LR, ranksep=0.35, nodesep=0.18, ", 1)
    drawn = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True).stdout
    drawn = re.sub(r"<!--.*?-->\n?", "", drawn, flags=re.DOTALL)
    (PICTURES / "graph.svg").write_text(drawn)


def report() -> None:
    """report.png, its beginning, and query.png, one of the queries that it shows."""
    with chromium((WIDTH, HEIGHT)) as browser:
        browser.get(Path(REPORT).resolve().as_uri())
        time.sleep(1)
        save(screenshot(browser), PICTURES / "report.png")
        picture = browser.find_element("xpath", "//section[contains(., 'Best queries')]//img")
        browser.execute_script("arguments[0].scrollIntoView()", picture)
        time.sleep(1)
        save(Image.open(io.BytesIO(picture.screenshot_as_png)).convert("RGB"), PICTURES / "query.png")


def app(video: Path, sentence: str) -> None:
    """app.png: `vidistill app` with an answer."""
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    with served() as address, chromium((WIDTH, 560)) as browser:
        browser.get(address)
        wait = WebDriverWait(browser, 120)
        wait.until(lambda b: b.find_element("css selector", "#video input[type=file]")).send_keys(str(video.resolve()))
        wait.until(lambda b: b.find_element("css selector", "#video video"))
        box = browser.find_element("css selector", "#sentence textarea, #sentence input")
        box.send_keys(sentence, Keys.ENTER)
        moment = wait.until(lambda b: b.find_element("css selector", "#found button"))
        moment.click()
        time.sleep(1)
        save(screenshot(browser), PICTURES / "app.png")


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The address of `vidistill app`."""
    words = [sys.executable, "-m", "vidistill", "app", "--model", RESULT, "--port", "0", "--threads", "1", "--any-code"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield next(line for line in process.stdout if line.startswith("Open ")).split()[1]
    finally:
        process.terminate()
        process.wait()


def screenshot(browser: Any) -> Image.Image:
    return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


def save(image: Image.Image, path: Path) -> None:
    """Write a small PNG."""
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
