-- Q8, new users: persons who offered something in the ten seconds in which they came.
SELECT DISTINCT p.id, p.name, moment(p.date_time // 10000 * 10000) AS window_start
FROM person p JOIN auction a ON a.seller = p.id AND a.date_time // 10000 = p.date_time // 10000
