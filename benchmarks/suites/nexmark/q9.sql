-- Q9, winning bids: the highest bid of each auction while it was open, of equal ones the first.
SELECT auction, price, bidder, seller, category FROM (
  SELECT b.auction, b.price, b.bidder, a.seller, a.category,
         row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.seq) AS n
  FROM bid b JOIN auction a ON b.auction = a.id WHERE b.date_time BETWEEN a.date_time AND a.expires
) WHERE n = 1
