"""Everything that is derived from component classes: descriptions, manual pages, JSON Schema.

The rule: nothing about a component is written down twice. ``python -m edgestream.docs`` writes the
pages and the schema that are kept in the repository; a test holds them to the classes.
"""

from edgestream.docs.describe import Description, FieldDescription, describe
from edgestream.docs.markdown import index, page
from edgestream.docs.schema import component_schema, pipeline_schema
from edgestream.docs.types import json_schema, words

__all__ = [
    "Description",
    "FieldDescription",
    "component_schema",
    "describe",
    "index",
    "json_schema",
    "page",
    "pipeline_schema",
    "words",
]
