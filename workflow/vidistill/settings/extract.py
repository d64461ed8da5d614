"""Sections `i3d`, `c3d` and `clip`."""

from typing import Literal

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section, Text
from vidistill.settings.clip import OpenCLIPSection

Last = Literal["shift", "pad", "drop"]
I3DEndpoint = Literal[
    "Conv3d_1a_7x7",
    "MaxPool3d_2a_3x3",
    "Conv3d_2b_1x1",
    "Conv3d_2c_3x3",
    "MaxPool3d_3a_3x3",
    "Mixed_3b",
    "Mixed_3c",
    "MaxPool3d_4a_3x3",
    "Mixed_4b",
    "Mixed_4c",
    "Mixed_4d",
    "Mixed_4e",
    "Mixed_4f",
    "MaxPool3d_5a_2x2",
    "Mixed_5b",
    "Mixed_5c",
    "features",
    "Logits",
]


class NetworkSection(Section):
    """What all networks share."""

    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="Of the network's arithmetic; tf32 differs from fp32 on a GPU alone."
    )
    compile: bool = Field(
        False,
        description="Compile the network with torch.compile, which takes a minute at the start of each job; for GPUs.",
    )
    dtype: Literal["float16", "float32"] = Field("float32", description="Of the stored features.")
    threads: int = Field(
        2,
        ge=1,
        description="Threads that read frames, and of PyTorch on the CPU; a setting, so that results do not depend on "
        "the cores that a run is given.",
    )


class WindowsSection(NetworkSection):
    """What networks of windows share."""

    seed: int = Field(0, ge=0, description="Seed of random weights.")
    last: Last = Field(
        "shift",
        description="What follows the last whole window where frames are left: one shifted back to the video's end, "
        "one padded with its last frame, or none. A video shorter than a window is padded in any case.",
    )


class I3DSection(WindowsSection):
    """Stage extract with I3D; by default, one vector for 8 frames over the whole video, as in the features of CPL's
    lineage."""

    weights: Text | None = Field(
        None,
        description="File of weights: piergiaj's rgb_imagenet.pt, flow_imagenet.pt or rgb_charades.pt, hassony2's, or "
        "safetensors with piergiaj's names. With null they are random, which is enough to try the workflow and no "
        "more.",
    )
    endpoint: I3DEndpoint = Field(
        "features",
        description="The layer whose output, averaged over space, is the feature, by its published name; features is "
        "the average pooling over two steps of time, with 1024 numbers. Layers behind it are neither built nor needed "
        "in the file.",
    )
    crop: int | None = Field(
        224,
        ge=1,
        description="Side of the central square in pixels; a shorter side of a frame stays whole, and with null all "
        "of the frame is used.",
    )
    window: int | None = Field(
        None,
        ge=1,
        description="Frames that the network is shown at once (DeepMind and video_features 64, VSLNet 24); with null "
        "it goes over the whole video.",
    )
    stride: int = Field(64, ge=1, description="Frames from one window to the next.")
    chunk: int = Field(
        384,
        ge=16,
        description="Frames that are read at once when there is no window, which bounds the memory; with context, "
        "frames of a chunk that goes through the network on its own (LGI's features 1600).",
    )
    context: int | None = Field(
        None,
        ge=0,
        description="Frames that the network sees on either side of a chunk (LGI's features about 50); with null the "
        "result is that of the whole video at once, since each layer keeps the inputs that its next outputs need.",
    )
    temporal_mean: bool = Field(
        False,
        description="One vector for a window, the mean over its time, instead of one for each step of the network.",
    )
    batch: int = Field(8, ge=1, description="Windows computed at once; chunks are computed one after the other.")


class C3DSection(WindowsSection):
    """Stage extract with C3D; by default, one vector for each 8 frames, as in the features of ActivityNet Captions."""

    weights: Text | None = Field(
        None,
        description="File of weights of PyTorch or safetensors with the names conv1 to conv5b, fc6 and fc7. With null "
        "they are random, which is enough to try the workflow and no more.",
    )
    mean: Text | None = Field(
        None,
        description="Mean of the training set's frames, to go with weights: a .npy file of the mean cube in the order "
        "blue, green, red, (3, 16, 128, 171) or (16, 128, 171, 3), or of three numbers.",
    )
    pca: Text | None = Field(
        None,
        description="HDF5 file with data/x_mean and data/U, by which features are reduced; with null they keep all "
        "4096 numbers.",
    )
    dimension: int = Field(500, ge=1, le=4096, description="Components of the PCA to keep.")
    endpoint: Literal["fc6", "fc7"] = Field(
        "fc7", description="The layer whose output, behind its ReLU, is the feature."
    )
    stride: int = Field(8, ge=1, description="Frames from one window of 16 to the next.")
    batch: int = Field(16, ge=1, description="Windows computed at once.")


class CLIPSection(OpenCLIPSection, NetworkSection):
    """Stage extract with an image encoder of open_clip (CLIP, SigLIP, MobileCLIP); by default, one vector for each
    frame. The rate is that of the frames, decode.fps."""

    window: int = Field(1, ge=1, description="Frames whose vectors are pooled into one; a multiple of stride.")
    stride: int = Field(1, ge=1, description="Frames from one window to the next.")
    pooling: Literal["mean", "max"] = Field("mean", description="How the vectors of a window's frames are pooled.")
    normalise: bool = Field(False, description="Scale the vector of each frame to norm 1, before it is pooled.")
    batch: int = Field(32, ge=1, description="Frames computed at once, which bounds the memory.")


class ExtractSettings(Section):
    """What the plan adds to the section of a network."""

    input: Literal["frames", "flow"]
    device: Device


class I3DSettings(I3DSection, ExtractSettings):
    extractor: Literal["i3d"]


class C3DSettings(C3DSection, ExtractSettings):
    extractor: Literal["c3d"]


class CLIPSettings(CLIPSection, ExtractSettings):
    extractor: Literal["clip"]


AnySettings = I3DSettings | C3DSettings | CLIPSettings
