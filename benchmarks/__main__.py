"""``python -m benchmarks CASE``: hot, burst, paced, qos1; ``all`` runs every one."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import hot, mqtt

CASES = {
    "burst": mqtt.Case(500_000, delivery="best_effort"),
    "burst-durable": mqtt.Case(500_000),
    "paced": mqtt.Case(1_200_000, rate=20_000),
    "paced-short": mqtt.Case(200_000, rate=20_000),
    "qos1": mqtt.Case(300_000, qos=1),
}


def main() -> None:
    """Run cases and print a table; with --save also write JSON to benchmarks/results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="+", choices=["hot", *CASES, "all"])
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE.json")
    given = parser.parse_args()
    names = ["hot", *CASES] if "all" in given.cases else given.cases
    results: dict[str, object] = {}
    for name in names:
        if name == "hot":
            result = hot.run()
            results[name] = asdict(result)
            print(
                f"hot            {result.total:6.0f} ns/event CPU ({result.decode:.0f} decode)  "
                f"{result.per_second / 1e6:.2f} M events/s on one core  {result.rows} windows"
            )
        else:
            got = mqtt.run(CASES[name])
            results[name] = asdict(got)
            print(
                f"{name:14} {got.cpu_us:6.2f} µs/message CPU  peak {got.peak_mib:.1f} MiB  "
                f"{got.case.count / got.seconds:,.0f} msg/s  lost {got.lost}  "
                f"wrong windows {got.wrong_windows}/{got.windows}  "
                f"{got.bytes_written:.0f} B written/message"
            )
    if given.save:
        path = Path(__file__).with_name("results") / f"{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")
        print(f"written to {path}")


if __name__ == "__main__":
    main()
