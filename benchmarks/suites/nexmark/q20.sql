-- Q20, expanded bids: every bid on something of category 10, with its auction.
SELECT b.auction, b.bidder, b.price, b.date_time, a.item_name, a.initial_bid, a.seller
FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10
