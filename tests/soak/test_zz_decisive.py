import pytest
from document_cases import DOCUMENT_CASES
from dataclasses import replace
from kill_matrix import decisive, prepared
pytest_plugins=("story_fixtures",)
@pytest.mark.parametrize("case", DOCUMENT_CASES, ids=lambda c:c.name)
def test_l(case, server, tmp_path, nursery):
    with prepared(case, server, tmp_path, nursery) as m:
        m.kill_at(decisive(m))
@pytest.mark.parametrize("case", [c for c in DOCUMENT_CASES if c.name not in ("recreate-over-alias", "recreate-with-another-prefix")], ids=lambda c:c.name)
def test_c(case, cluster_server, tmp_path, nursery):
    with prepared(replace(case, answers=()), cluster_server, tmp_path, nursery) as m:
        m.kill_at(decisive(m)[::3])
