"""HTTP and WebSocket for the page, and who may.

server.py       uvicorn on a thread of its own, with limits
application.py  what is asked for by HTTP
downloads.py    Readings as a file
hub.py          the browsers that are connected: who is told what, four times a second
guard.py        before everything: whose page this is, whose request, how many; the headers of all
login.py        password and sessions
rates.py        how often somebody may do something
"""
