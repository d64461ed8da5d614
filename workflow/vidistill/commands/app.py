"""The page of `vidistill app`, on Gradio: a video, a sentence, the curve and the moments, which one clicks to jump."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np

from vidistill.base.colours import BLUE
from vidistill.base.stage import UserError
from vidistill.commands import clock, ground_cli, words
from vidistill.commands.ground import Answer, Grounder
from vidistill.commands.one_video import Video

KEPT = 8  # videos whose features are kept for further questions
LONG = 500  # characters of a sentence
SWEEP, AGE = 600, 3600  # seconds: how often uploaded videos are looked through, and after how long they are deleted
STEP = 0.3  # seconds between looks at the progress
FONTS = [gr.themes.Font(name) for name in ("system-ui", "sans-serif")]  # the browser's own
MONOSPACE = [gr.themes.Font("monospace")]
CSS = f"""
.moments button {{ width: 100%; display: flex; justify-content: space-between; gap: 1rem; padding: .6rem .8rem;
  margin: .3rem 0; font: inherit; font-variant-numeric: tabular-nums; text-align: left; cursor: pointer;
  border: 1px solid var(--border-color-primary); border-radius: .4rem; background: none; color: inherit; }}
.moments button:hover {{ border-color: {BLUE}; }}
.moments button:focus-visible {{ outline: 3px solid {BLUE}; }}
.moments svg {{ width: 100%; height: 5rem; display: block; cursor: pointer; overflow: hidden;
  border-bottom: 1px solid var(--border-color-primary); }}
.moments [role=alert] {{ border-left: .35rem solid #D55E00; padding: .4rem .8rem; }}
.moments .note {{ opacity: .75; }}
"""
# Gradio's tools for cutting a video fetch a program from elsewhere.
PAGE_CSS = "#video button[aria-label^=Trim], #video button[aria-label^=Reset] { display: none; }"
# A click on a moment plays it, one on the curve plays the video from there; a line on the curve follows the video.
FOLLOW = """
const video = () => document.querySelector("#video video");
let followed = null, until = null;
function follow() {
  const player = video();
  const hand = element.querySelector("line");
  if (!player || !hand) return;
  if (until !== null && player.currentTime >= until) { player.pause(); until = null; }
  const x = 1000 * player.currentTime / Number(hand.dataset.duration);
  hand.setAttribute("x1", x); hand.setAttribute("x2", x);
}
element.addEventListener("click", event => {
  const player = video();
  const moment = event.target.closest("[data-start]");
  const curve = event.target.closest("svg");
  if (!player || !(moment || curve)) return;
  if (player !== followed) { player.addEventListener("timeupdate", follow); followed = player; }
  until = moment ? Number(moment.dataset.end) : null;
  if (moment) player.currentTime = Number(moment.dataset.start);
  else {
    const box = curve.getBoundingClientRect();
    player.currentTime = Number(curve.dataset.duration) * (event.clientX - box.left) / box.width;
  }
  player.play();
});
"""


class Asker:
    """Answers of one model for all who look at the page, one after the other."""

    def __init__(self, grounder: Grounder, top: int, work: Path):
        self.grounder, self.top, self._work = grounder, top, work
        self._seen: OrderedDict[str, Video] = OrderedDict()
        self._alone = threading.Lock()

    def ask(self, video: str | None, sentence: str, tell: Callable[[str], None]) -> str:
        """The answer as HTML; what a person has to mend is a sentence of it.

        Args:
            tell: called with what is being done.
        """
        try:
            if not video:
                raise UserError("no video is chosen; drop one above.")
            self.grounder.check([sentence[:LONG]])
            with self._alone:
                (answer,) = self.grounder.ask(self.watch(video, tell), [sentence[:LONG]])
            return as_html(answer, self.top)
        except UserError as error:
            said = str(error).replace(str(video), Path(str(video)).name)
            return f'<div class="moments"><p role="alert">{escape(said)}</p></div>'

    def watch(self, video: str, tell: Callable[[str], None]) -> Video:
        """The features of a video, kept for the next question. Gradio's path of a video has a digest of its content."""
        if video not in self._seen:
            steps: list[tuple[str, Callable[[], str]]] = []

            @contextmanager
            def noted(what: str, so_far: Callable[[], str]) -> Iterator[None]:
                steps.append((what, so_far))
                yield

            since = time.monotonic()
            with ThreadPoolExecutor(1) as thread:
                made = thread.submit(self.grounder.watch, video, work=self._work, watch=noted)
                while not wait([made], STEP).done:
                    step = f"{steps[-1][0]}: {steps[-1][1]()}" if steps else "reading the video"
                    tell(f"{step}, {clock.text(time.monotonic() - since)}")
            self._seen[video] = made.result()
        self._seen.move_to_end(video)
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        return self._seen[video]


def as_html(answer: Answer, top: int) -> str:
    """The curve, and the best moments as buttons."""
    shown = answer.moments[:top]
    note = ground_cli.note(answer)
    parts = [f'<p class="note">{escape(note)}</p>'] if note else []
    if not shown:
        parts.append('<p class="note">No moment was found.</p>')
    parts.append(_curve(answer.activation_map, [(one.start, one.end) for one in shown], answer.duration))
    for one in shown:
        when = f"{clock.text(one.start, True)} \N{EN DASH} {clock.text(one.end, True)}"
        parts.append(
            f'<button type="button" data-start="{one.start:.3f}" data-end="{one.end:.3f}"><span>{when}</span>'
            f'<span class="note">score {one.score:.3f}</span></button>'
        )
    return f'<div class="moments">{"".join(parts)}</div>'


def _curve(values: np.ndarray | None, moments: list[tuple[float, float]], duration: float) -> str:
    """The activation map (L,) over the moments, which are shaded, the best one most."""
    drawn = [
        f'<rect x="{1000 * start / duration:.1f}" width="{max(2.0, 1000 * (end - start) / duration):.1f}" height="100" '
        f'fill="{BLUE}" opacity="{0.12 if rank else 0.35}"/>'
        for rank, (start, end) in enumerate(moments)
    ]
    if values is not None:
        low, high = float(values.min()), float(values.max())
        heights = 95 - 90 * (values - low) / ((high - low) or 1)
        points = "L".join(f"{1000 * (i + 0.5) / len(values):.1f},{y:.1f}" for i, y in enumerate(heights.tolist()))
        stroke = 'stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"'
        drawn.append(f'<path d="M{points}" fill="none" {stroke}/>')
    hand = f'<line data-duration="{duration}" y1="0" y2="100" stroke="#D55E00" stroke-width="3"/>'
    return (
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" data-duration="{duration}" aria-hidden="true">'
        f"{''.join(drawn)}{hand}</svg>"
    )


def build(asker: Asker) -> gr.Blocks:
    """The page."""
    trained = asker.grounder.trained
    known = [word for word in trained.vocabulary.words if words.is_content(word)][:12]
    with gr.Blocks(title=f"vidistill: {trained.name}", analytics_enabled=False, delete_cache=(SWEEP, AGE)) as page:
        gr.Markdown(f"# Find a moment\nModel: {trained.name}. Its most frequent words: {', '.join(known)}.")
        with gr.Row():
            with gr.Column(min_width=320):
                video = gr.Video(label="Video", sources=["upload"], elem_id="video", buttons=[])
            with gr.Column(min_width=320):
                sentence = gr.Textbox(
                    label="Sentence", placeholder="what to find", max_lines=1, max_length=LONG, elem_id="sentence"
                )
                button = gr.Button("Find", variant="primary", elem_id="find")
                found = gr.HTML("", elem_id="found", css_template=CSS, js_on_load=FOLLOW, min_height=220)

        def find(path: str | None, text: str, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
            return asker.ask(path, text or "", lambda what: progress(None, desc=what))

        gr.on(
            [sentence.submit, button.click],
            find,
            [video, sentence],
            found,
            concurrency_limit=1,
            api_visibility="private",
        )
        video.change(lambda: "", None, found, api_visibility="private", queue=False)
    return page.queue(max_size=20)


def launch(grounder: Grounder, *, top: int, host: str, port: int, megabytes: int, work: Path) -> None:
    """Serve the page until Ctrl-C; nothing of it comes from elsewhere."""
    page = build(Asker(grounder, top, work))
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        max_file_size=megabytes * 1_000_000,
        state_session_capacity=100,
        theme=gr.themes.Default(primary_hue="blue", font=FONTS, font_mono=MONOSPACE),
        css=PAGE_CSS,
        prevent_thread_lock=True,
    )
    print(f"Open http://{host}:{port} in a browser; Ctrl-C ends it.", flush=True)
    try:
        page.block_thread()
    finally:
        page.close(verbose=False)
