-- Q5, hot items: in each ten seconds, every two seconds, the auctions with the most bids.
WITH counts AS (
  SELECT auction, date_time // 2000 * 2000 - back * 2000 AS start, count(*) AS bids
  FROM bid, range(5) hops(back) GROUP BY ALL
)
SELECT moment(start) AS window_start, moment(start + 10000) AS window_end, auction, bids
FROM (SELECT *, max(bids) OVER (PARTITION BY start) AS most FROM counts) WHERE bids = most
