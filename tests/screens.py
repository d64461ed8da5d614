"""What a terminal shows."""


def screen(written: str) -> list[str]:
    """The lines on a terminal after what was written to it, by the few codes that are used."""
    lines, row, column, i = [""], 0, 0, 0
    while i < len(written):
        if written.startswith("\033[J", i):
            lines = [*lines[:row], lines[row][:column]]
            i += 3
        elif written.startswith("\033[", i):
            end = written.index("A", i)
            row -= int(written[i + 2 : end])
            i = end + 1
        elif written[i] == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
            i += 1
        elif written[i] == "\r":
            column, i = 0, i + 1
        else:
            lines[row] = f"{lines[row][:column].ljust(column)}{written[i]}{lines[row][column + 1 :]}"
            column, i = column + 1, i + 1
    return lines
