-- Q1, currency conversion: every bid with its price in euros.
SELECT auction, bidder, price * 0.908::DOUBLE AS price, date_time, extra FROM bid
