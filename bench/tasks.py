#!/usr/bin/env python3
"""Measures the engine of tasks on SQLite and on a Postgres of its own, and beside it Procrastinate, a job queue for Python on the same Postgres.

    cargo build --release -p tollhouse-tasks --example figures
    python3 -m venv VENV && VENV/bin/pip install procrastinate 'psycopg[binary]'
    VENV/bin/python bench/tasks.py --figures target/release/examples/figures --runs 100 --waiting 10000 --ended 100000

What is compared is what both have: a job of one step that does nothing, taken by eight workers at a time from one Postgres with
fsync. Procrastinate commits when a job is taken and when it is done. A run of a task commits when it is taken, when its step's intent is there,
when its result is, and when the run is given back, and keeps all of it afterwards: a history costs that much.
"""

import argparse
import asyncio
import subprocess
import tempfile
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "tests/tools/postgres.sh"
WORKERS = 8


async def procrastinate_jobs(folder, count):
    """Jobs a second."""
    import procrastinate

    conninfo = f"host={folder} user=tollhouse dbname=postgres"
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo))

    @app.task(name="nothing")
    async def nothing():
        return True

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for begun in range(0, count, 1000):
            await nothing.batch_defer_async(*[{} for _ in range(min(1000, count - begun))])
        begun = time.monotonic()
        await app.run_worker_async(wait=False, concurrency=WORKERS, listen_notify=False, install_signal_handlers=False)
        return count / (time.monotonic() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--ended", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=5_000, help="jobs of Procrastinate")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    wanted = parser.parse_args()
    counts = [str(count) for count in (wanted.runs, wanted.waiting, wanted.ended)]
    if wanted.only != "postgres":
        with tempfile.TemporaryDirectory() as folder:
            print("SQLite", flush=True)
            subprocess.run([wanted.figures, f"{folder}/tasks.db", *counts], check=True)
    if wanted.only == "sqlite":
        return
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        subprocess.run([SCRIPT, "start", folder], check=True)
        try:
            print("Procrastinate", flush=True)
            print(f"{WORKERS} workers: {asyncio.run(procrastinate_jobs(folder, wanted.jobs)):.0f} jobs a second ({wanted.jobs} jobs)", flush=True)
            print("Postgres", flush=True)
            url = f"postgres://tollhouse@{folder.replace('/', '%2F')}/postgres"
            subprocess.run([wanted.figures, url, *counts], check=True)
        finally:
            subprocess.run([SCRIPT, "stop", folder], check=True)


if __name__ == "__main__":
    main()
