"""Writes the code of a Markdown page into files, so that what is tried is what is documented.

    snippets.py PAGE FOLDER

A fenced block that begins with a comment of nothing but a file's name becomes that file, in a folder that has
the language's name. What is the same already is left alone, for build tools look at dates.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(?://|#) ([\w.]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDERS = {"ts": "typescript", "python": "python", "go": "go", "rust": "rust/src"}


def main(page: Path, folder: Path) -> None:
    files = [(language, name, text) for language, name, text in BLOCK.findall(page.read_text())]
    for language, name, text in files:
        target = folder / FOLDERS[language] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    missing = FOLDERS.keys() - {language for language, _, _ in files}
    if missing:
        sys.exit(f"{page} has no code in {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
