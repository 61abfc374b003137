-- Q18, the last bid of each bidder on each auction, every ten seconds where it is another.
SELECT bidder, auction, price, channel, date_time FROM (
  SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, seq DESC) AS n
  FROM bid
) WHERE n = 1
