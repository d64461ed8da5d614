"""Pages of tables: a bad video with its reason, numbers that are the result's, times and memory."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from drawn import read, runs

from evaluated import Runs
from vidistill.report import costs, coverage, finding, overview, page, results


class Tables(HTMLParser):
    """The cells of every table of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
        assert tag not in ("script", "link", "iframe")
        assert all(name not in ("src", "href") or value.startswith(("data:", "#")) for name, value in attrs)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data.strip()

    def starting(self, *cells: str) -> list[list[str]]:
        return [row for row in self.rows if row[: len(cells)] == list(cells)]


@pytest.fixture
def data(tmp_path: Path) -> Runs:
    return runs(tmp_path)


def test_each_left_out_video_is_listed_with_its_reason(data, config):
    for states in data.states.values():
        states["v001"] = ("bad", "unreadable <moov> & truncated")
        states["v030"] = ("partial", "decoded 3.00 s of 9.00 s")
    del data.states["rgb"]["v002"]
    data.problems = [("a.txt", 3, "test", "v009", "s", "end 9.1 is beyond the duration 9", "clamped")]
    m = read(data, config)
    text = coverage.make(m.result, m.data.queries)
    tables = Tables(text)
    assert tables.starting("v001") == [["v001", "test", "unreadable <moov> & truncated"]]
    assert tables.starting("v030") == [["v030", "train", "decoded 3.00 s of 9.00 s"]]
    assert tables.starting("v002") == [["v002", "test", "rgb"]]
    assert tables.starting("a.txt") == [["a.txt", "end N is beyond the duration N", "clamped", "1"]]
    counts = m.result["coverage"]["splits"]["test"]
    assert tables.starting("test")[0][1:3] == [str(counts["queries"][name]) for name in ("annotated", "used")]
    assert "<moov>" not in text
    assert tables.starting("rgb")[0][3] == "pretrained"


def test_a_list_that_was_cut_says_so(data, config):
    for states in data.states.values():
        states.update({f"v00{i}": ("bad", "broken") for i in range(3)})
    m = read(data, config, list_at_most=2)
    text = coverage.make(m.result, m.data.queries)
    assert "Bad videos: 3" in text
    assert "The first 2 are listed" in text


def test_numbers_of_the_result_stand_beside_the_papers(data, config):
    data.supervision = {"baseline": ("full", 1234)}
    m = read(data, config, dataset="charades-cpl")
    tables = Tables(results.make(m))
    names = ["R@0.3", "R@0.5", "R@0.7", "mIoU"]
    assert tables.rows[0] == ["", *names]
    own = tables.starting("student")[0]
    for cell, name in zip(own[1:], names, strict=True):
        metric = m.result["metrics"][name]
        low, high = metric["interval"]
        assert cell.startswith(f"{metric['mean']:.0f} ± {metric['std']:.0f}")  # of 40 queries no decimal means anything
        assert cell.endswith(f"({low:.0f} to {high:.0f})")
    assert "[53.29]" in own[2]
    assert "[51.58]" in tables.starting("baseline")[0][2]
    assert tables.starting("CPL")[0][1:] == ["[66.40]", "[49.24]", "[22.39]", ""]
    constant = m.result["video_free"]["constant"]
    assert tables.starting("constant interval")[0][1:] == [f"{constant[name]:.0f}" for name in names]
    compared = m.result["comparisons"]["baseline"]["metrics"]["mIoU"]
    assert tables.starting("student minus baseline")[0][4].startswith(f"{compared['difference']:+.0f}(")
    assert [row[0] for row in tables.rows if row[0] in ("baseline", "student")] == ["baseline", "student"] * 2
    assert tables.starting("student")[1] == ["student", "weak", "0", "673,650", "49.3 M", "3.21"]
    assert tables.starting("baseline")[1] == ["baseline", "full", "1,234", "1,000", "999", "20"]


def test_the_results_begin_with_what_was_found(data, config):
    m = read(data, config)
    text = results.make(m)
    found = finding.of_moments(m.result, (0.3, 0.5, 0.7))
    assert text.index("</h1>") < text.index(found) < text.index("<table>")
    free, compared = (m.result["comparisons"][name]["metrics"]["R@0.5"] for name in ("video_free", "baseline"))
    own, beside = found.split(", without any moment in training. ")
    assert f" {m.result['metrics']['R@0.5']['mean']:.0f} % of the moments (R@0.5), " in own
    for part, about, name in ((own, compared, "the baseline"), (beside, free, "the best prediction without video")):
        assert name in part
        assert ("within noise" in part) == (not about["resolved"])


@pytest.mark.parametrize(
    ("difference", "interval", "said"),
    [
        (4.01, [2.44, 5.7], "4 points above the other (2 to 6)"),
        (-4.01, [-5.7, -2.44], "4 points below the other (2 to 6)"),
        (0.7, [-0.8, 2.3], "within noise of the other (+1; -1 to +2)"),
        (0.7, None, "1 point above the other"),
    ],
)
def test_a_finding_tells_the_side_and_the_noise(difference, interval, said):
    about = {
        "difference": difference,
        "interval": interval,
        "resolved": bool(interval) and min(interval) * max(interval) > 0,
    }
    assert finding.beside("other", about, 40) == said


@pytest.mark.parametrize(
    ("moments", "said"),
    [(0, "without any moment in training"), (1, "with 1 moment in training"), (9, "with 9 moments")],
)
def test_a_finding_tells_the_supervision(moments, said):
    about = {"training_moments": {"0": moments, "1": 0}}
    result = {
        "model": "m",
        "queries": 40,
        "metrics": {"R@0.5": {"mean": 50.0}},
        "comparisons": {},
        "models": {"m": about},
    }
    assert said in finding.of_moments(result, (0.5,))


def test_another_models_interval_is_the_one_that_its_own_result_has(data, config):
    theirs = results.alone(read(data, config), "baseline")["metrics"]
    own = read(data, config, model="baseline", compare_with=[]).result["metrics"]
    assert theirs == own


def test_one_seed_and_no_constant_are_said(data, config):
    data.moments = data.moments.iloc[:40]
    data.tables = {key: table for key, table in data.tables.items() if key[1] == 0}
    text = results.make(read(data, config, seeds=[0]))
    assert "from one seed" in text
    assert "±" not in text.partition("Other selection rules")[0].partition("<table>")[2]
    assert "constant interval cannot be fitted" in text
    assert "No paper reports on this data set." in text


def measure(folder: Path, name: str, seconds: float, rss: str = "1024") -> None:
    path = folder / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load", "cpu_time"]
    values = [str(seconds), "0:00:01", rss, *["1"] * 6, "2.0"]
    path.write_text("\t".join(names) + "\n" + "\t".join(values) + "\n")


def test_times_are_summed_over_a_rules_jobs_of_this_data_set(tmp_path):
    for shard, seconds in enumerate((3600.0, 65.0)):
        measure(tmp_path, f"extract/mine/rgb/{shard}", seconds, "2048")
    measure(tmp_path, "train/set/student/seed-0", 30)
    measure(tmp_path, "train/set/other/seed-0", 99)
    measure(tmp_path, "train/elsewhere/student/seed-0", 99)
    measure(tmp_path, "extract/elsewhere/rgb/0", 99)
    measure(tmp_path, "decode/mine/frames/0", 0.2, "-")  # too short to be measured
    measure(tmp_path, "demo", 99)
    tables = Tables(costs.make(costs.read(tmp_path, "set", "mine", ["student"]), "set"))
    assert [row[:2] for row in tables.rows[1:]] == [
        ["decode", "frames"],
        ["extract", "rgb"],
        ["train", "student"],
        ["all", ""],
    ]
    assert tables.starting("extract")[0][2:] == ["2", "1:01:05", "", "1:00:00", "0:00:04", "2.00"]
    assert tables.starting("decode")[0][7] == ""
    assert tables.starting("all")[0][2:4] == ["4", "1:01:35"]
    assert "has no measurements" in costs.make(costs.read(tmp_path, "none", "none", []), "none")


def test_pages_are_joined_in_their_order(tmp_path):
    paths = []
    for name in ("first", "a & b"):
        paths.append(tmp_path / f"{len(paths)}.html")
        lead = page.Raw(f'<p class="{finding.MARK}">found by {len(paths)}</p>')
        paths[-1].write_text(page.document(name, *([] if len(paths) > 1 else [lead]), f"about {name}"))
    settings = '{"dataset": "d", "model": "m"}'
    arguments = [
        "--settings",
        settings,
        "--pages",
        *map(str, paths),
        "--output",
        str(tmp_path / "one.html"),
    ]
    overview.main(arguments)
    text = (tmp_path / "one.html").read_text()
    assert text.count("<!doctype html>") == text.count("<body>") == 1
    assert "What the m learned on d" in text
    assert text.count("found by 1") == 1
    assert text.index("</h1>") < text.index("found by 1") < text.index("Contents") < text.index("<section")
    assert text.index("<p>about first</p>") < text.index("<p>about a &amp; b</p>")
    assert '<a href="#1">a &amp; b</a>' in text
