"""From an empty directory and a built binary to the first chart of real requests."""

import re
import sys

from house import BINARY, ROOT, finished


def test_scenario_b17_the_first_chart_within_two_minutes(ollama, tmp_path):
    """By the script that does it as a user would, in front of a real Ollama, up to the picture in a real browser."""
    command = [sys.executable, ROOT / "bench/first_chart.py", "--binary", BINARY, "--ollama", ollama.url, "--model", "qwen3:4b", "--shots", tmp_path]
    done = finished(command, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    took = float(re.search(r"([\d.]+) s  from an empty directory to the first chart", done.stdout)[1])
    assert 0 < took <= 120
    assert "the chart in the browser" in done.stdout and (tmp_path / "first-chart.png").exists(), done.stdout
