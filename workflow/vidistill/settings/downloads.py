"""Section `downloads`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from vidistill.base.settings import Distinct, Section, Several, Text

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Download(Section):
    """A file to fetch, or an archive of which members are wanted: `file` or `members` is given."""

    urls: Several[Annotated[str, Field(pattern="^https?://")]] = Field(
        description="Addresses of the file, tried one after the other."
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None,
        description="Its SHA-256; null where nobody publishes one, so that the one of the file that arrived is shown, "
        "to be pinned.",
    )
    size: int | None = Field(None, ge=1, description="Its bytes; null where unknown.")
    file: Text | None = Field(None, description="Where the file belongs.")
    members: Annotated[dict[str, Text], Field(min_length=1)] | None = Field(
        None,
        description="Of a zip archive, which members belong where, in place of file: patterns of file names, each "
        'with a file, or a folder with "/" at its end.',
    )
    licence: Text = Field(description="Under which terms it may be used, shown before it is fetched.")
    page: Text = Field(description="Its page.")

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if (self.file is None) == (self.members is None):
            raise ValueError(
                "it needs either 'file' (its path) or 'members' (paths of an archive's members); give one of them"
            )
        return self


class Fetching(Section):
    """How files are fetched."""

    folder: Text = Field(
        "data/downloads", description="Where archives are kept until they are unpacked, and what is known of each."
    )
    keep_archives: bool = Field(False, description="Keep archives once they are unpacked.")
    attempts: int = Field(
        6,
        ge=1,
        description="Attempts in a row that bring no byte, before an address is given up; the pauses between them "
        "double.",
    )
    timeout: float = Field(60.0, gt=0, description="Seconds without a byte, before a connection is made anew.")


class DownloadsSection(Fetching):
    """Stage download: what may be fetched, by targets of their own that are run first. `snakemake --cores 1
    download_NAME` fetches a file of this name, or all files of a set of this name."""

    files: dict[Name, Download] = Field({}, description="What may be fetched, by names.")
    sets: dict[Name, Distinct[str]] = Field({}, description="Files that are fetched together, by names.")


class NamedDownload(Download):
    name: str


class DownloadSettings(Fetching):
    files: tuple[NamedDownload, ...]
