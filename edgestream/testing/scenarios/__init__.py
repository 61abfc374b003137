"""Tests of pipelines: rows given under a clock turned by hand, rows expected at sinks."""

from edgestream.scenario import Scenario
from edgestream.testing.scenarios.check import check_scenarios
from edgestream.testing.scenarios.judge import Outcome, run_scenario

__all__ = ["Outcome", "Scenario", "check_scenarios", "run_scenario"]
