-- Q11, sessions: how often each bidder bids until ten quiet seconds have passed.
WITH gaps AS (
  SELECT bidder, date_time,
         date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) AS gap FROM bid
), marked AS (
  SELECT *, count(*) FILTER (gap IS NULL OR gap >= 10000)
         OVER (PARTITION BY bidder ORDER BY date_time ROWS UNBOUNDED PRECEDING) AS session FROM gaps
)
SELECT bidder, moment(min(date_time)) AS window_start, moment(max(date_time) + 10000) AS window_end,
       count(*) AS bids
FROM marked GROUP BY bidder, session
