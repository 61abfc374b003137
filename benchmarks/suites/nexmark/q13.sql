-- Q13, side input: every bid with what a table says of its channel.
SELECT auction, bidder, price, channel,
       CASE channel WHEN 'Apple' THEN 'Cupertino' WHEN 'Baidu' THEN 'Beijing'
            WHEN 'Facebook' THEN 'Menlo Park' ELSE 'Mountain View' END AS owner, date_time
FROM bid WHERE channel IN ('Apple', 'Baidu', 'Facebook', 'Google')
