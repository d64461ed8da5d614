"""Report unwritable folders before any job begins."""


def check_folders():
    for folder in (".snakemake", "results"):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise UserError(f"{os.path.abspath(folder)}: {error.strerror.lower()}; run where you can write.") from error
        if not os.access(folder, os.W_OK):
            raise UserError(f"{os.path.abspath(folder)} cannot be written; make it writable, or run elsewhere.")


# Processes of cluster jobs parse these files too and need no check; a dry run writes nothing.
if IS_RUN:
    told(check_folders)()
