"""The hazard codes: every consequence that a plan can have and that somebody has to agree to."""

from __future__ import annotations

from typing import Final

HAZARD_CODES: Final[dict[str, str]] = {
    "CUTOVER_GAP": "For some milliseconds the name answers that there is no such index.",
    "DELETES_INDEX": "An index goes for good; its documents stay.",
    "LOSES_PRECISION": "Values are stored with fewer bits than before, and the bits that are cut off do not come back.",
    "MEMORY_PEAK": "While two indexes exist side by side, the server needs much more memory than before or after.",
    "NAME_BECOMES_ALIAS": "A name that belonged to an index itself becomes an alias of a newer index.",
    "POSSIBLE_RENAME": "An index is deleted and a like one created, which looks like a rename that was not declared.",
    "QUERY_ENCODING_CHANGES": "From the cutover on, queries must send vectors of another datatype or dimension.",
    "RESULT_KEYS_CHANGE": "For a stated time, answers carry staged keys instead of the documents' own keys.",
    "REWRITES_DOCUMENTS": "Documents are rewritten in place; the original bytes are gone after completion.",
    "RUNS_USER_CODE": "The project's own code is run: over the documents, or a command around a cutover.",
    "SEARCH_DOWNTIME": "Searches fail or find too little until the index has been built again.",
    "SHARED_DOCUMENTS": "Another index reads the same keys and changes along with them.",
    "SLOW_BUILD": "Building the index takes long, and it loads the server meanwhile.",
}
"""Every hazard code with its consequence in one sentence; a plan's hazards say the same about its own case."""
