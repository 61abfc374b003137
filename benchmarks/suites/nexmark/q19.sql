-- Q19, the ten highest bids of each auction; where a rank changes it is told of again.
SELECT auction, rank, price FROM (
  SELECT auction, price, row_number() OVER (PARTITION BY auction ORDER BY price DESC, seq) AS rank
  FROM bid
) WHERE rank <= 10
