"""Croissant metadata of a data set (MLCommons, version 1.0): files with checksums, and the columns of each."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.datasets.exports import CHATS, TEXTS, file_of, splits

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification recommends."""


def croissant(folder: Path, name: str, title: str, license: str, languages: list[str], share: float) -> dict[str, Any]:
    """Return the JSON-LD of a data set whose files are in a folder.

    Parameters
    ----------
    license : SPDX identifier, or a text if there is none
    languages : codes
    share : share of the items in the test split
    """
    files = [(config, split, file_of(config, split)) for config in (TEXTS, CHATS) for split in splits(share)]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"polypref-{name}",
        "description": f"{title}: preference pairs (prompt, chosen, rejected) of architecture {name}, created by "
        "polypref from English pairs. README.md describes each field.",
        "conformsTo": CONFORMS_TO,
        "license": f"https://spdx.org/licenses/{license}" if " " not in license and license != "other" else license,
        "inLanguage": languages,
        "keywords": ["preference", "dpo", "synthetic", "multilingual"],
        "distribution": [_file_object(folder, path) for _, _, path in files],
        "recordSet": [_record_set(folder / path, path, config, split) for config, split, path in files],
    }


def _file_object(folder: Path, path: str) -> dict[str, Any]:
    with open(folder / path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{(folder / path).stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": checksum,
    }


def _record_set(file: Path, path: str, config: str, split: str) -> dict[str, Any]:
    name = f"{config}-{split}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"Split {split}: "
        + ("messages, as TRL's DPOTrainer reads them." if config == CHATS else "texts, messages and their origin."),
        "key": [{"@id": f"{name}/item_id"}, {"@id": f"{name}/language"}],
        "field": [_field(field, name, path) for field in pq.read_schema(file)],
    }


def _field(field: pa.Field, name: str, path: str) -> dict[str, Any]:
    own = f"{name}/{field.name}"
    source = {"fileObject": {"@id": path}, "extract": {"column": field.name}}
    described = {"@type": "cr:Field", "@id": own, "name": own}
    if not pa.types.is_list(field.type):
        return {**described, "dataType": "sc:Text", "source": source}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{own}/{part.name}",
            "name": f"{own}/{part.name}",
            "dataType": "sc:Text",
            "source": {**source, "transform": {"jsonPath": part.name}},
        }
        for part in field.type.value_type
    ]
    return {**described, "repeated": True, "subField": parts}
