-- Q0, pass through: every bid as it comes; what reading and writing alone cost.
SELECT auction, bidder, price, date_time, extra FROM bid
