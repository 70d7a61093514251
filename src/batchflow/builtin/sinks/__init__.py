"""Where results go: standard output, files, SQLite.

stdout  jsonl  csv  sqlite     the factories: one signature each, which is its configuration
fields                         the mapping language of `fields:`, shared by all of them
lines                          results into the bytes of JSON Lines or CSV
file  output  entry  redo  mark   how a file survives `kill -9`; `output` explains it
diagnosis                      an operating system's error into a sentence with a next step
"""
