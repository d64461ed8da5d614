"""Files of the data sets as the configuration names them; of videos and weights there are the names alone."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from vidistill.base.stage import UserError

IDS = [f"V{n:04d}" for n in range(40)]  # of no data set


def put(folder: Path, *names: str, text: str = "") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def charades_tree(folder: Path, ids: list[str] = IDS) -> None:
    """Files as the configuration names them for Charades-STA, videos and weights empty."""
    for split, videos in (("train", ids[: len(ids) // 2]), ("test", ids[len(ids) // 2 :])):
        lines = "".join(f"{video} 1.0 4.0##a person opens the door.\n" for video in videos)
        put(folder, f"data/charades/charades_sta_{split}.txt", text=lines)
        lengths = "".join(f"{video},9.5\n" for video in videos)
        put(folder, f"data/charades/Charades_v1_{split}.csv", text="id,length\n" + lengths)
    put(folder, *(f"data/charades/videos/{video}.mp4" for video in ids))
    put(folder, "data/glove/glove.840B.300d.txt", "data/weights/rgb_imagenet.pt", "data/weights/flow_imagenet.pt")


def tacos_tree(folder: Path) -> None:
    third = len(IDS) // 3
    for split, videos in (("train", IDS[:third]), ("val", IDS[third : 2 * third]), ("test", IDS[2 * third :])):
        about = {"timestamps": [[30, 120]], "sentences": ["He takes a pan."], "fps": 29.4, "num_frames": 300}
        put(folder, f"data/tacos/{split}.json", text=json.dumps({f"{video}.avi": about for video in videos}))
    put(folder, *(f"data/tacos/videos/{video}.avi" for video in IDS))
    put(folder, "data/glove/glove.840B.300d.txt", "data/weights/rgb_imagenet.pt", "data/weights/flow_imagenet.pt")


def activitynet_tree(folder: Path) -> None:
    third = len(IDS) // 3
    for split, videos in (("train", IDS[:third]), ("val_1", IDS[third : 2 * third]), ("val_2", IDS[2 * third :])):
        entries = {f"v_{v}": {"duration": 9.5, "timestamps": [[1, 4]], "sentences": ["a man jumps."]} for v in videos}
        put(folder, f"data/activitynet/{split}.json", text=json.dumps(entries))
    put(folder, *(f"data/activitynet/videos/v_{video}.mkv" for video in IDS))
    put(folder, "data/glove/glove.840B.300d.txt", "data/weights/flow_imagenet.pt")
    put(folder, "data/weights/c3d.pt", "data/weights/c3d_mean.npy", "data/weights/activitynet_pca.hdf5")


def actions_tree(folder: Path, dataset: str) -> None:
    """Files as the configuration names them for `thumos14` or `activitynet-1.3`."""
    name, subsets, prefix = {
        "thumos14": ("thumos14/thumos14.json", ("validation", "test"), ""),
        "activitynet-1.3": ("activitynet/activity_net.v1-3.json", ("training", "validation"), "v_"),
    }[dataset]
    segments = [{"segment": [1, 4], "label": "Diving"}]
    half = len(IDS) // 2
    database = {
        video: {"subset": subset, "duration": 9.5, "annotations": segments}
        for subset, videos in zip(subsets, (IDS[:half], IDS[half:]), strict=True)
        for video in videos
    }
    put(folder, f"data/{name}", text=json.dumps({"database": database}))
    put(folder, *(f"data/{name.split('/')[0]}/videos/{prefix}{video}.mp4" for video in IDS))
    put(folder, "data/weights/rgb_imagenet.pt", "data/weights/flow_imagenet.pt")
    if dataset == "thumos14":
        put(folder, "data/thumos14/Ambiguous_test.txt", text="V0030  1.0 2.0\n")


def check_damaged_copies(read: Callable[[str], object], path: Path, sound: str) -> None:
    """Of 500 damaged copies of a JSON text, many end in a sentence that names the file, and the others are read."""
    generator = random.Random(0)
    said = 0
    for _ in range(500):
        place = generator.randrange(len(sound))
        other = "".join(generator.choices('{}[]",:0-.en tru', k=generator.randint(0, 3)))
        path.write_text(sound[:place] + other + sound[place + generator.randint(0, 9) :], encoding="utf-8")
        try:
            read(str(path))
        except UserError as error:
            said += str(path) in str(error)
    assert said > 100
