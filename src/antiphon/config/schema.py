"""The JSON Schema of configuration files, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from antiphon.config.engine_checks import ROLE_CLASSES
from antiphon.config.pipelines import CHAIN_ROLES, OPTIONAL_ROLES, EngineChoice
from antiphon.config.settings import Settings
from antiphon.engines.base import Engine, EngineError
from antiphon.engines.registry import engine_names, find_engine

Schema = dict[str, Any]

_SWITCHABLE = OPTIONAL_ROLES | {"transcription"}


def config_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration file, with the options of the engines that are
    installed. An engine that cannot be imported here may have any options."""
    schema = Settings.model_json_schema(mode="validation")
    definitions: Schema = schema["$defs"]
    engines = {name: _engine(name) for name in engine_names()}
    for role, kind in ROLE_CLASSES.items():
        entries = [_entry(name, engine, definitions) for name, engine in engines.items() if _fits(engine, kind)]
        names = [name for name, engine in engines.items() if _fits(engine, kind)]
        unnamed = {"type": "object", "not": {"anyOf": [{"required": ["engine"]}, {"required": ["name"]}]}}
        definitions[f"{role}-engine"] = {"anyOf": [{"enum": names}, *entries, unnamed]}
    for role in ROLE_CLASSES:
        one: Schema = {"$ref": f"#/$defs/{role}-engine"}
        choices = [one]
        if role in CHAIN_ROLES:
            choices.append({"type": "array", "items": one, "minItems": 1})
        if role in _SWITCHABLE:
            choices.insert(0, {"const": "off"})
        for model, allowed in (("PipelineSettings", choices), ("EngineSettings", [one])):
            properties = definitions[model]["properties"]
            if role in properties:
                told = {key: properties[role][key] for key in ("description",) if key in properties[role]}
                properties[role] = {"anyOf": allowed, **told}
    definitions.pop("EngineChoice", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "antiphon.yaml",
        **{key: value for key, value in schema.items() if key not in ("title", "description")},
    }


def _engine(name: str) -> type[Engine] | None:
    try:
        return find_engine(name, Engine)
    except EngineError:
        return None


def _fits(engine: type[Engine] | None, role: type[Engine]) -> bool:
    return engine is None or issubclass(engine, role)


def _entry(name: str, engine: type[Engine] | None, definitions: Schema) -> Schema:
    own = EngineChoice.model_json_schema()["properties"]
    properties: Schema = {"engine": {"const": name}, **{key: own[key] for key in ("cores", "idle_unload_s", "options")}}
    entry: Schema = {"type": "object", "required": ["engine"], "properties": properties}
    kind: type[BaseModel] | None = engine.options_type if engine is not None else None
    if kind is not None:
        options = kind.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        definitions.update({f"{name}.{model}": inner for model, inner in options.pop("$defs", {}).items()})
        entry["properties"] = {**options.get("properties", {}), **properties}
        entry["additionalProperties"] = False
    return entry
