"""How good imagery is: metrics, a judge, borders, seams, regions, and their reports."""
