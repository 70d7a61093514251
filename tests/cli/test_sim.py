"""`batchflow sim`: serves until it is told to stop, and says what to export."""

import signal
import urllib.request

from batchflow.cli.exits import Exit


def test_it_says_where_it_listens_and_ends_at_a_signal(shop):
    process = shop.cold("sim", "--port", "0", "--fault", "create:1:reset_after")
    line = process.stdout.readline().strip()
    assert line.startswith("export ANTHROPIC_BASE_URL=http://127.0.0.1:")
    assert process.stdout.readline().strip() == "export ANTHROPIC_API_KEY=simulated"
    url = line.partition("=")[2]
    with urllib.request.urlopen(f"{url}/_sim/stats") as reply:
        assert reply.status == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == Exit.DELIVERED


def test_a_fault_that_there_is_not_is_told(shop):
    said = shop("sim", "--fault", "create:1:explode")
    assert said.code == Exit.USAGE
    assert "explode" in said.err


def test_a_port_that_is_taken_is_told(shop):
    port = shop.sim.url.rpartition(":")[2]
    said = shop("sim", "--port", port)
    assert said.code == Exit.USAGE
    assert "--port 0" in said.err
