"""Section `external`."""

from typing import Literal

from pydantic import Field

from vidistill.base.settings import Section, Text

Format = Literal["auto", "hdf5", "npy_folder", "npz_folder", "own"]


class ExternalSettings(Section):
    """Stage external: features that exist already, in place of those that the workflow makes."""

    source: Text | None = Field(
        None, description="The file or folder of the features, given with each stream that reads any."
    )
    format: Format = Field(
        "auto",
        description="Their form: hdf5 with a data set or a group for each video (CPL, LGI, ActivityNet) or with a "
        "file for each, a folder of {video id}.npy (VSLNet, LGI) or .npz, or this workflow's own files (one, or the "
        "folder of a stream's shards); auto looks which it is. Around the ids there may be some text, the same for "
        "each, as in {video id}_rgb.npy.",
    )
    key: Text | None = Field(
        None,
        description="The data set in a video's group or file, such as c3d_features, or the array in its .npz; not "
        "needed where there is only one.",
    )
    dimension: int | None = Field(
        None, ge=1, description="Numbers that each row must have; with null as many as the first video's has."
    )
    transform: Literal["none", "temporal_difference"] = Field(
        "none",
        description="With temporal_difference each row is the change to the next one, a stand-in for motion where "
        "there is no optical flow.",
    )
    seconds_per_row: float | None = Field(
        None,
        gt=0,
        description="Seconds from one row to the next, where known; it dates the rows, and gives a duration where the "
        "annotations have none.",
    )
    dtype: Literal["float16", "float32"] = Field("float32", description="Of the stored features.")
