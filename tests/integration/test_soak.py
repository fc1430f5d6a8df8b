"""A house that goes on and on: with traffic, reloads, rotations and killed processes nothing of it grows (scenario R18)."""

import os
import sys

from house import BINARY, ROOT, finished

# Forty seconds show that nothing leaks with each request, reload or kill; hours are for TOLLHOUSE_TEST_SOAK=MINUTES.
MINUTES = float(os.environ.get("TOLLHOUSE_TEST_SOAK", "0.7"))
# In a short time buffers and threads are still being filled and let go.
SHORT = ["--growth", "1.3", "--more", "12"] if MINUTES < 10 else []


def test_scenario_r18_memory_descriptors_and_threads_stay_flat_and_restarts_are_told():
    command = [sys.executable, ROOT / "bench/soak.py", "--binary", BINARY, "--minutes", str(MINUTES), *SHORT]
    done = finished(command, timeout=MINUTES * 60 + 300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
