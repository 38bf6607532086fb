"""Who ends a flow how: the other side sees the same end, and no byte is lost.

40 cells, each under a capture on both sides of nlbd; lab/close_matrix.py holds
the expected outcomes.
"""
import pytest

from lab import ini
from lab.close_matrix import CELLS, faults, observe
from lab.daemon import Daemon


@pytest.fixture(scope="module")
def nlbd(network, health):
    with Daemon(network, ini.base()) as daemon:
        yield daemon.start()


def quick_cell(cell):
    """Slow builds leave out the long transfers in small pieces."""
    return (cell.mode, cell.state) != ("copy", "mid-transfer")


@pytest.mark.parametrize("cell", [
    pytest.param(cell, id=str(cell),
                 marks=[pytest.mark.quick] if quick_cell(cell) else [])
    for cell in CELLS])
def test_close(cell, network, nlbd):
    seen = observe(cell, network, nlbd)
    assert faults(cell, seen) == [], seen
    record = nlbd.flow_record(seen.client)
    assert record["end_reason"] == cell.reason
    if cell.outcome.forward == "all":
        key = ("client_to_target_bytes" if cell.actor == "client"
               else "target_to_client_bytes")
        assert record[key] == seen.forward_sent
    nlbd.wait_no_flows()
