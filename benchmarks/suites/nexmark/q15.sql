-- Q15, statistics of days: bids, different bidders and different auctions, by the height of bids.
SELECT moment(date_time // 86400000 * 86400000) AS window_start,
       count(*) AS bids,
       count(*) FILTER (rank = 1) AS rank1_bids,
       count(*) FILTER (rank = 2) AS rank2_bids,
       count(*) FILTER (rank = 3) AS rank3_bids,
       count(DISTINCT bidder) AS bidders,
       count(DISTINCT bidder) FILTER (rank = 1) AS rank1_bidders,
       count(DISTINCT bidder) FILTER (rank = 2) AS rank2_bidders,
       count(DISTINCT bidder) FILTER (rank = 3) AS rank3_bidders,
       count(DISTINCT auction) AS auctions,
       count(DISTINCT auction) FILTER (rank = 1) AS rank1_auctions,
       count(DISTINCT auction) FILTER (rank = 2) AS rank2_auctions,
       count(DISTINCT auction) FILTER (rank = 3) AS rank3_auctions
FROM (SELECT *, CASE WHEN price < 10000 THEN 1 WHEN price < 1000000 THEN 2 ELSE 3 END AS rank FROM bid)
GROUP BY ALL
