-- Q7, highest bid: the bids with the highest price of each ten seconds.
SELECT moment(date_time // 10000 * 10000) AS window_start, auction, bidder, price, date_time
FROM (SELECT *, max(price) OVER (PARTITION BY date_time // 10000) AS highest FROM bid)
WHERE price = highest
