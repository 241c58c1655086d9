"""FT.ALTER: fields that are added to a live index come out as if they had been there from the beginning."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import EmbeddedServer, connected
from strategies import definitions

from rvlstate.model.canonical import mask
from rvlstate.model.definition import IndexDefinition
from rvlstate.model.field import VectorField
from rvlstate.plan.arguments import alter_arguments, create_arguments
from rvlstate.runtime.connect import connect
from rvlstate.runtime.inspect import inspect_index

on_server = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))


def is_known_to_2_10(definition: IndexDefinition) -> bool:
    """Whether the server of the tests can have such an index."""
    vectors = [field for field in definition.fields if isinstance(field, VectorField)]
    able = all(field.search.algorithm != "svs-vamana" and not field.datatype.endswith("int8") for field in vectors)
    return able and not definition.index_all


@given(definition=definitions().filter(is_known_to_2_10), kept=st.integers(1, 3))
@on_server
def test_added_fields_come_out_as_created_ones(server: EmbeddedServer, definition: IndexDefinition, kept: int) -> None:
    """One FT.ALTER with the missing fields leads to what FT.CREATE with all of them leads to, on both protocols."""
    first, added = replace(definition, fields=definition.fields[:kept]), definition.fields[kept:]
    with connected(server) as client:
        client.execute_command(*create_arguments("goods", first))
        try:
            if added:
                client.execute_command(*alter_arguments("goods", added, definition.storage))
            assert_shown(server, definition)
        finally:
            client.execute_command("FT.DROPINDEX", "goods")


def assert_shown(server: EmbeddedServer, definition: IndexDefinition) -> None:
    """FT.INFO shows the definition, as far as it shows anything."""
    for protocol in (2, 3):
        with connect(server.url, protocol=protocol) as connection:
            index = inspect_index(connection, "goods")
            assert index is not None
            assert mask(index.definition) == mask(definition)
