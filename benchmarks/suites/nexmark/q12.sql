-- Q12, windows of processing time: how often each bidder bids in ten seconds by the clock.
-- When a row is processed is not in the data: all that can be compared is the sum of a bidder.
SELECT bidder, count(*) AS bids FROM bid GROUP BY bidder
