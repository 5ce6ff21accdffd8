"""``procver demo``: a rolling deployment of the sample shop, played for real on a real server.

`sample` finds the material, `stage` gives directory and database and takes them away again, `app` is the shop's
app server, `play` is the story. What is said on the way goes to a `play.Narrator`; only the edge prints.
"""
