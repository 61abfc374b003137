-- Q14, calculation: bids in a range of prices in euros, with the part of the day and letters.
SELECT auction, bidder, 0.908::DOUBLE * price AS price,
       CASE WHEN hour BETWEEN 8 AND 18 THEN 'day' WHEN hour <= 6 OR hour >= 20 THEN 'night'
            ELSE 'other' END AS part,
       date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS letters
FROM (SELECT *, hour(moment(date_time)) AS hour FROM bid)
WHERE 0.908::DOUBLE * price > 1000000 AND 0.908::DOUBLE * price < 50000000
