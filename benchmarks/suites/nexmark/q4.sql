-- Q4, average price of a category: of the highest bids while each auction was open.
SELECT category, avg(final) AS average FROM (
  SELECT a.id, a.category, max(b.price) AS final
  FROM bid b JOIN auction a ON b.auction = a.id
  WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category
) GROUP BY category
