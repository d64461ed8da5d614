"""Stage download: fetch files of data sets to the places set in the configuration.

Existing files are never replaced; interrupted transfers are resumed.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vidistill.base import settings as settings_module
from vidistill.base import stage, store
from vidistill.base.stage import UserError
from vidistill.data.downloads.transfer import Patience, fetch, megabytes
from vidistill.data.downloads.unpack import unpack
from vidistill.settings.downloads import DownloadSettings
from vidistill.settings.downloads import NamedDownload as Download

log = logging.getLogger(__name__)


def bring(download: Download, settings: DownloadSettings) -> None:
    """Fetch one file, or fetch an archive and unpack it, unless it exists.

    Raises:
        UserError: it cannot be fetched, or another file is in its place.
    """
    log.info("%s: %s; %s", download.name, download.licence, download.page)
    if download.file:
        _bring_file(download, Path(download.file), settings)
    else:
        _bring_members(download, settings)


def _bring_file(download: Download, target: Path, settings: DownloadSettings) -> None:
    if not target.exists():
        _fetch(download, target, settings)
    elif download.sha256 and (found := store.file_digest(target)) != download.sha256:
        raise UserError(
            f"{target} is there with the SHA-256 {found}, downloads.files.{download.name} expects {download.sha256}; "
            "move it away to fetch it, or correct sha256."
        )
    else:
        log.info("%s: %s is there", download.name, target)


def _bring_members(download: Download, settings: DownloadSettings) -> None:
    assert download.members is not None
    folder = Path(settings.folder)
    record = folder / f"{download.name}.json"
    archive = folder / unquote(Path(urlsplit(download.urls[0]).path).name)
    if _is_recorded(record, download):
        log.info("%s: all of it is there", download.name)
        return
    is_begun = archive.exists() or archive.with_name(f"{archive.name}.part").exists() or record.exists()
    if not is_begun and all(_is_occupied(Path(path), path.endswith("/")) for path in download.members.values()):
        places = ", ".join(download.members.values())
        log.warning("%s: %s is there and stays as it is; remove it to have it fetched", download.name, places)
        return
    if archive.exists():
        log.info("%s: %s is there", download.name, archive)
    else:
        _fetch(download, archive, settings)
    files = unpack(download.name, archive, download.members)
    store.write_json(record, {"sha256": download.sha256, "urls": download.urls, "files": files})
    if not settings.keep_archives:
        archive.unlink()


def _fetch(download: Download, target: Path, settings: DownloadSettings) -> None:
    size = f", {megabytes(download.size)}" if download.size else ""
    log.info("%s: %s to %s%s", download.name, download.urls[0], target, size)
    digest = fetch(
        download.name,
        download.urls,
        target,
        sha256=download.sha256,
        size=download.size,
        patience=Patience(settings.attempts, settings.timeout),
    )
    if download.sha256:
        log.info("%s: the checksum is right", download.name)
    else:
        log.warning(
            "%s: no published checksum of it is known; its SHA-256 is %s, pin it as downloads.files.%s.sha256 once you "
            "trust it",
            download.name,
            digest,
            download.name,
        )


def _is_recorded(record: Path, download: Download) -> bool:
    """Whether an earlier run unpacked this download and all its files still exist."""
    try:
        known = json.loads(record.read_text())
        files = known["files"].items()
        return known["sha256"] == download.sha256 and all(Path(p).stat().st_size == size for p, size in files)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _is_occupied(path: Path, is_folder: bool) -> bool:
    return path.is_dir() and any(path.iterdir()) if is_folder else path.exists()


def main(argv: Sequence[str] | None = None) -> None:
    parser = stage.arguments(__doc__)
    settings = settings_module.parse(DownloadSettings, parser.parse_args(argv).settings)
    failed = []
    for number, download in enumerate(settings.files, 1):
        log.info("%d/%d %s", number, len(settings.files), download.name)
        try:
            bring(download, settings)
        except UserError as error:  # the others are still fetched
            failed.append(str(error))
            log.error("error: %s", error)
    if failed:
        raise UserError(f"{len(failed)} of {len(settings.files)} downloads failed; the sentences above say why.")


if __name__ == "__main__":
    stage.run(main)
