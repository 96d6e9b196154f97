"""The benchmarks as pages of the site: every benchmarks/<name>/README.md, with its records to download.

In docs/ a page links to the file itself, `../benchmarks/ewc_step/README.md`, which is right on a code host; here such
a link is turned into one to the page. So are those from one README to another, and to a record.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LINK = re.compile(r"\]\((?P<up>(?:\.\./)+)benchmarks/(?P<name>\w+)/README\.md(?P<rest>#[\w-]*)?\)")
TO_ANOTHER = re.compile(r"\]\(\.\./(?P<name>\w+)/README\.md(?P<rest>#[\w-]*)?\)")
TO_A_RECORD = re.compile(r"\]\(results/(?P<name>[\w.-]+\.json)\)")


def readmes() -> list[Path]:
    """Of every benchmark that has one, in the order of their names."""
    return sorted(BENCHMARKS.glob("*/README.md"))


def on_config(config: Any) -> Any:
    """Puts them into the navigation."""
    pages = [f"benchmarks/{file.parent.name}.md" for file in readmes()]
    for section in config.nav:
        if "Benchmarks" in section:
            section["Benchmarks"] = ["benchmarks/index.md", *pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and the records they stand on."""
    titles = []
    for file in readmes():
        name, text = file.parent.name, file.read_text(encoding="utf-8")
        text = TO_ANOTHER.sub(lambda found: f"]({found['name']}.md{found['rest'] or ''})", text)
        text = TO_A_RECORD.sub(rf"]({name}/\g<name>)", text)
        records = sorted((file.parent / "results").glob("*.json"))
        if records:
            text += "\n## Records\n\n" + "".join(f"- [{r.name}]({name}/{r.name})\n" for r in records)
        titles.append(f"- [{text.splitlines()[0].lstrip('# ')}]({name}.md)")
        files.append(File.generated(config, f"benchmarks/{name}.md", content=text))
        for record in records:
            files.append(File.generated(config, f"benchmarks/{name}/{record.name}", abs_src_path=str(record)))
    files.append(File.generated(config, "benchmarks/index.md", content=INTRODUCTION + "\n".join(titles) + "\n"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to the files into links to the pages."""
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown
    up = "../" * page.file.src_uri.count("/")
    return LINK.sub(lambda found: f"]({up}benchmarks/{found['name']}.md{found['rest'] or ''})", markdown)


INTRODUCTION = """# Benchmarks

One question each, with the command that repeats it, and the records: versions, machine, seeds, every single number.

"""
