"""Whether each package says of itself what registries of crates, npm and PyPI show, and has its license and its readme in it.

Where this repository is (`repository`, `homepage`) is asked of nobody: it has no address yet.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).parents[2]
# What one package is not to say another way than the others.
LICENSE = "MIT OR Apache-2.0"
problems: list[str] = []


def check(package: str, what: str, holds: object) -> None:
    if not holds:
        problems.append(f"{package}: {what}")


def run(*command: str, cwd: pathlib.Path = ROOT) -> str:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command)}: {ran.stderr.strip()}")
    return ran.stdout


def common(package: str, said: dict, version: str) -> None:
    description = said.get("description") or ""
    check(package, "no description of 20 to 150 characters", 20 <= len(description) <= 150)
    check(package, "a description that ends like a sentence", not description.endswith("."))
    check(package, f"another license than {LICENSE}", said.get("license") == LICENSE)
    check(package, f"another version than {version}", said.get("version") == version)
    keywords = said.get("keywords") or []
    check(package, "no keywords, or more than five", 1 <= len(keywords) <= 5)
    check(package, "a keyword of more than 20 characters", all(len(word) <= 20 for word in keywords))


def crates() -> str:
    """Those that are for others; answers the version of all of them."""
    members = json.loads(run("cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"))["packages"]
    public = [member for member in members if member["publish"] != []]
    version = next(member["version"] for member in public if member["name"] == "hallpass")
    for member in public:
        name = f"crate {member['name']}"
        common(name, member, version)
        check(name, "no categories, or more than five", 1 <= len(member["categories"]) <= 5)
        check(name, "no rust-version", member["rust_version"])
        check(name, "no readme", member["readme"])
        files = run("cargo", "package", "--list", "--allow-dirty", "--offline", "--package", member["name"]).split()
        for file in ("LICENSE", "README.md", "Cargo.toml"):
            check(name, f"no {file} in it", file in files)
        strangers = [file for file in files if file.split("/")[0] in ("docs", "target", "tests", ".github", "sdks")]
        check(name, f"what nobody needs of it, as {strangers[:3]}", member["name"] == "hallpass" or not strangers)
    check("crates", "fewer than three are for others", len(public) >= 3)
    return version


def npm(version: str) -> None:
    for folder in ("deploy/npm", "sdks/client", "sdks/node"):
        said = json.loads((ROOT / folder / "package.json").read_text())
        name = f"npm {said['name']}"
        common(name, said, version)
        check(name, "no engines", said.get("engines", {}).get("node"))
        check(name, "neither `files` nor `exports`", said.get("files"))
        check(name, "no README.md beside it", (ROOT / folder / "README.md").is_file())
        check(name, "something is run by an installation", not {"preinstall", "install", "postinstall"} & set(said.get("scripts", {})))
        # That of the program is put there by scripts/packages.
        if folder != "deploy/npm":
            packed = json.loads(run("npm", "pack", "--dry-run", "--ignore-scripts", "--json", cwd=ROOT / folder))
            files = {file["path"] for file in (packed[0] if isinstance(packed, list) else packed)["files"]}
            check(name, f"no LICENSE or README.md in it: {sorted(files)[:9]}", {"LICENSE", "README.md"} <= files)


def pypi(version: str) -> None:
    for folder in ("deploy/python", "sdks/python", "sdks/session-python"):
        said = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        name = f"PyPI {said['name']}"
        common(name, said, version)
        check(name, "no readme", (ROOT / folder / said.get("readme", "-")).is_file())
        check(name, "no license-files", said.get("license-files"))
        check(name, "no requires-python", said.get("requires-python"))
        classifiers = said.get("classifiers", [])
        check(name, "no classifier of a topic", any(word.startswith("Topic :: ") for word in classifiers))
        # Where there is a license as an expression, PyPI refuses one as a classifier (PEP 639).
        check(name, "a classifier of a license", not any(word.startswith("License ::") for word in classifiers))


def main() -> None:
    version = crates()
    npm(version)
    pypi(version)
    if problems:
        sys.exit("\n".join(problems))
    print(f"the packages of {version} say what they are")


main()
