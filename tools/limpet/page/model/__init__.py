"""What the page knows: of each device and of the topics. Pure: Messages in, values out; bounded
whatever comes.

model.py    all of it, made from what is heard
node.py     what is kept of one device
series.py   the newest Readings of one device
cards.py    a device in a few lines, as the browser gets it
topics.py   which topics there are, and what is retained on them
"""
