-- Q17, statistics of auctions: for each auction and day, how its bids are spread over prices.
SELECT auction, moment(date_time // 86400000 * 86400000) AS window_start, count(*) AS bids,
       count(*) FILTER (price < 10000) AS low_bids,
       count(*) FILTER (price >= 10000 AND price < 1000000) AS middle_bids,
       count(*) FILTER (price >= 1000000) AS high_bids,
       min(price) AS lowest, max(price) AS highest, avg(price) AS average, sum(price)::BIGINT AS total
FROM bid GROUP BY ALL
