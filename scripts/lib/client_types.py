"""Writes the types that the clients in sdks/ share with the service, out of openapi/hallpass.json.

    client_types.py           writes sdks/client/src/openapi.ts and sdks/session-python/src/hallpass_session/_openapi.py
    client_types.py --check   fails where what is there differs

Only what a login needs is taken. A construct of the document that this does not know is an error, not a guess.
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "openapi" / "hallpass.json"
OPERATIONS = ["register", "login", "refreshToken", "logout"]
# Of pages alone: whose session it is that a cookie has.
OPERATIONS_OF_PAGES = ["authMePost"]
SCHEMAS = [
    "ErrorCode",
    "InvalidField",
    "Login",
    "LoginRequest",
    "LogoutScope",
    "Problem",
    "RegisterRequest",
    "Registered",
    "RegistrationTaken",
    "TokenPair",
    "User",
]
NOTE = "Generated from openapi/hallpass.json by scripts/lib/client_types.py: change that, and run it."

Schema = dict[str, Any]


class Unknown(Exception):
    """The document has what this program has no words for."""


class Language:
    """How a language writes a schema down."""

    primitives: dict[str, str]
    nullable: str
    operations = OPERATIONS

    def document(self, text: str, indent: str) -> str:
        raise NotImplementedError

    def array(self, item: str) -> str:
        raise NotImplementedError

    def declaration(self, name: str, schema: Schema) -> str:
        raise NotImplementedError

    def file(self, declarations: list[str], paths: dict[str, str]) -> str:
        raise NotImplementedError

    def type_of(self, schema: Schema) -> str:
        """The type of a member."""
        if "allOf" in schema:
            if len(schema["allOf"]) != 1:
                raise Unknown(f"an allOf of several: {schema}")
            written = self.type_of(schema["allOf"][0])
        elif "$ref" in schema:
            written = schema["$ref"].rsplit("/", 1)[1]
            if written not in SCHEMAS:
                raise Unknown(f"a schema that is not taken: {written}")
        elif schema.get("type") == "array":
            written = self.array(self.type_of(schema["items"]))
        elif schema.get("type") in self.primitives and "enum" not in schema:
            written = self.primitives[schema["type"]]
        else:
            raise Unknown(f"a type: {schema}")
        return written + self.nullable if schema.get("nullable") else written


class TypeScript(Language):
    primitives = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
    nullable = " | null"
    operations = OPERATIONS + OPERATIONS_OF_PAGES

    def array(self, item: str) -> str:
        return f"{item}[]"

    def document(self, text: str, indent: str) -> str:
        lines = textwrap.wrap(text, 110)
        if len(lines) == 1:
            return f"{indent}/** {lines[0]} */\n"
        return f"{indent}/**\n" + "".join(f"{indent} * {line}\n" for line in lines) + f"{indent} */\n"

    def declaration(self, name: str, schema: Schema) -> str:
        head = self.document(schema.get("description", name), "")
        if "enum" in schema:
            return head + f"export type {name} =\n" + "\n".join(f'  | "{value}"' for value in schema["enum"]) + ";\n"
        body = ""
        for member, its in schema["properties"].items():
            mark = "" if member in schema.get("required", []) else "?"
            body += self.document(its["description"], "  ") + f"  {member}{mark}: {self.type_of(its)};\n"
        return head + f"export interface {name} {{\n{body}}}\n"

    def file(self, declarations: list[str], paths: dict[str, str]) -> str:
        table = "".join(f'  {name}: "{path}",\n' for name, path in paths.items())
        where = "/** Where the operations are, below the service's URL. */\nexport const PATHS = {\n" + table + "} as const;\n"
        return "\n".join([f"// {NOTE}\n", *declarations, where])


class Python(Language):
    primitives = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
    nullable = " | None"

    def array(self, item: str) -> str:
        return f"list[{item}]"

    def document(self, text: str, indent: str) -> str:
        lines = textwrap.wrap(text, 110)
        return f'{indent}"""' + f"\n{indent}".join(lines) + ('"""\n' if len(lines) == 1 else f'\n{indent}"""\n')

    def declaration(self, name: str, schema: Schema) -> str:
        text = schema.get("description", name)
        if "enum" in schema:
            values = "".join(f'    "{value}",\n' for value in schema["enum"])
            return f"{name} = Literal[\n{values}]\n" + self.document(text, "")
        body = ""
        for member, its in schema["properties"].items():
            written = self.type_of(its)
            if member not in schema.get("required", []):
                written = f"NotRequired[{written}]"
            body += f"    {member}: {written}\n" + self.document(its["description"], "    ")
        return f"class {name}(TypedDict):\n" + self.document(text, "    ") + f"\n{body}"

    def file(self, declarations: list[str], paths: dict[str, str]) -> str:
        head = f'"""{NOTE}"""\n\nfrom __future__ import annotations\n\nfrom typing import Literal, NotRequired, TypedDict\n'
        table = "".join(f'    "{name}": "{path}",\n' for name, path in paths.items())
        where = "PATHS = {\n" + table + '}\n"""Where the operations are, below the service\'s URL."""\n'
        return "\n\n".join([head, *declarations, where])


FILES = {
    ROOT / "sdks/client/src/openapi.ts": TypeScript(),
    ROOT / "sdks/session-python/src/hallpass_session/_openapi.py": Python(),
}


def written(language: Language, document: Schema) -> str:
    schemas = document["components"]["schemas"]
    found = {
        operation["operationId"]: path
        for path, item in document["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    declarations = [language.declaration(name, schemas[name]) for name in SCHEMAS]
    return language.file(declarations, {name: found[name] for name in language.operations})


def main(check: bool) -> None:
    document = json.loads(DOCUMENT.read_text())
    drifted = []
    for file, language in FILES.items():
        text = written(language, document)
        if file.exists() and file.read_text() == text:
            continue
        drifted.append(str(file.relative_to(ROOT)))
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if check and drifted:
        sys.exit(f"{', '.join(drifted)} differ from openapi/hallpass.json: run {Path(__file__).relative_to(ROOT)}")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
