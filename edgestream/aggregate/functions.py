"""The aggregate functions there are. A new one is a class in a file of its family, and a line."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.aggregate.chosen import ArgMax, ArgMin
from edgestream.aggregate.counts import Count
from edgestream.aggregate.decayed import Ewma
from edgestream.aggregate.digest import P50, P90, P95, P99, Median, Quantile
from edgestream.aggregate.distinct import CountDistinct
from edgestream.aggregate.ends import FirstValue, LastValue
from edgestream.aggregate.extremes import Max, Min
from edgestream.aggregate.frequent import Mode, TopK
from edgestream.aggregate.function import Function
from edgestream.aggregate.histogram import Histogram
from edgestream.aggregate.lines import Correlation, Intercept, Slope
from edgestream.aggregate.moments import Mean, Rms, Stddev, Sum, Variance
from edgestream.aggregate.paths import Integral, Rate, TimeWeightedMean, ZeroCrossings
from edgestream.aggregate.samples import Collect, FftAmplitude, FftPeak
from edgestream.aggregate.spans import Delta
from edgestream.aggregate.truths import All, Any, CountIf

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Count(), CountIf(), CountDistinct(), Any(), All(),
        Sum(), Mean(), Stddev(), Variance(), Rms(), Min(), Max(), FirstValue(), LastValue(),
        Quantile(), Median(), P50(), P90(), P95(), P99(), Histogram(), Mode(), TopK(),
        ArgMin(), ArgMax(), Collect(),
        Delta(), Rate(), Integral(), TimeWeightedMean(), Ewma(), Slope(), Intercept(),
        Correlation(), ZeroCrossings(), FftPeak(), FftAmplitude(),
    )
}  # fmt: skip
